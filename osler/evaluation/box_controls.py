"""Controls of grounding that need no model: what the training boxes and classes alone are worth.

- `centre-box`: a box in the middle of the image with the median width and height of the training boxes (as shares of
  their images), or half of the image each way where no training record is known.
- `mean-box`: the mean corners of the training boxes.
- `majority`: the commonest set of classes of the training records of the same question type, and no box.

Boxes are called by the commonest class. All are counted within a data set, and over all where it has no training
records; nothing is ever computed on the items that are asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from osler.boxes import Box
from osler.errors import EvaluationError
from osler.evaluation.controls import question_type
from osler.evaluation.majority_options import DATASET_TAG
from osler.evaluation.tasks.region_items import image_size, record_classes
from osler.records import Record

Write = Callable[[Record, Sequence[Box], Sequence[str]], str]
"""(record, boxes, classes) -> answer text in the record's own box format."""
_Shares = tuple[float, float, float, float]
HALF: _Shares = (0.25, 0.25, 0.75, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedBox:
    """One box for every image, called by the commonest class.

    Args:
        shares: corners as shares of the image, by data set; None stands for any.
        classes: commonest class by data set; None stands for any.
        write: the task's way of putting it.
        trained_on: number of training records.
    """

    shares: dict[str | None, _Shares]
    classes: dict[str | None, str]
    write: Write = field(repr=False)
    trained_on: int

    @property
    def by(self) -> str:
        """What it is counted within."""
        return "data set"

    def answer(self, record: Record) -> tuple[str, bool]:
        """The answer for an item, and whether its data set has no training boxes."""
        name = record.tags.get(DATASET_TAG, "")
        size = image_size(record)
        assert size is not None, "the task's `validate` refuses items of unknown size"
        width, height = size
        x1, y1, x2, y2 = self.shares.get(name, self.shares[None])
        box = Box(x1 * width, y1 * height, x2 * width, y2 * height, width, height)
        label = self.classes.get(name, self.classes.get(None))
        return self.write(record, [box], [] if label is None else [label]), name not in self.shares


def centre_box(training: Sequence[Record], write: Write) -> FixedBox:
    """The control `centre-box`.

    Args:
        training: records with regions; may be empty.
        write: the task's way of putting it.
    """

    def centred(boxes: Sequence[_Shares]) -> _Shares:
        wide, high = (median(box[axis + 2] - box[axis] for box in boxes) for axis in (0, 1))
        return (1 - wide) / 2, (1 - high) / 2, (1 + wide) / 2, (1 + high) / 2

    shares = {name: centred(boxes) for name, boxes in _boxes(training).items()}
    return FixedBox(shares=shares or {None: HALF}, classes=_labels(training), write=write, trained_on=len(training))


def mean_box(training: Sequence[Record], write: Write) -> FixedBox:
    """The control `mean-box`.

    Raises:
        EvaluationError: when the training records have no box.
    """
    boxes = _boxes(training)
    if not boxes:
        raise EvaluationError("the mean-box control needs training boxes; it is never computed on the test items")
    shares = {}
    for name, group in boxes.items():
        x1, y1, x2, y2 = (fmean(edge) for edge in zip(*group, strict=True))
        shares[name] = (x1, y1, x2, y2)
    return FixedBox(shares=shares, classes=_labels(training), write=write, trained_on=len(training))


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityClasses:
    """The commonest set of classes in training, without a box.

    Args:
        table: (data set or None, question type or None) -> classes; None stands for any.
        write: the task's way of putting it.
        trained_on: number of training records.
    """

    table: dict[tuple[str | None, str | None], tuple[str, ...]] = field(repr=False)
    write: Write = field(repr=False)
    trained_on: int

    @property
    def by(self) -> str:
        """What it is counted within."""
        return "data set and question type"

    def answer(self, record: Record) -> tuple[str, bool]:
        """The answer for an item, and whether a fall-back was needed."""
        name, kind = record.tags.get(DATASET_TAG, ""), question_type(record)
        for key in ((name, kind), (name, None), (None, kind), (None, None)):
            if key in self.table:
                return self.write(record, [], self.table[key]), key != (name, kind)
        raise AssertionError("(None, None) is always in the table")


def majority_classes(training: Sequence[Record], write: Write) -> MajorityClasses:
    """Count the sets of classes of training records; ties go to the alphabetically first.

    Raises:
        EvaluationError: when there are none.
    """
    if not training:
        raise EvaluationError("the majority control needs training records; it is never computed on the test items")
    counts: dict[tuple[str | None, str | None], Counter[tuple[str, ...]]] = defaultdict(Counter)
    for record in training:
        for name in (record.tags.get(DATASET_TAG, ""), None):
            for kind in (question_type(record), None):
                counts[name, kind][tuple(sorted(record_classes(record)))] += 1
    table = {key: min(counter, key=lambda names: (-counter[names], names)) for key, counter in counts.items()}
    return MajorityClasses(table=table, write=write, trained_on=len(training))


def _boxes(training: Sequence[Record]) -> dict[str | None, list[_Shares]]:
    """Corners as shares of the image, by data set; a box that several records of an image state counts once."""
    seen: dict[tuple[str, str, Box], None] = {}
    for record in training:
        for region in record.regions:
            seen[record.tags.get(DATASET_TAG, ""), record.images[region.image].path, region.box] = None
    found: dict[str | None, list[_Shares]] = defaultdict(list)
    for dataset, _, box in seen:
        x1, y1, x2, y2 = box.xyxy()
        shares = (x1 / box.width, y1 / box.height, x2 / box.width, y2 / box.height)
        found[dataset].append(shares)
        found[None].append(shares)
    return dict(found)


def _labels(training: Sequence[Record]) -> dict[str | None, str]:
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    for record in training:
        for name in (record.tags.get(DATASET_TAG, ""), None):
            counts[name].update(record_classes(record))
    return {
        name: min(counter, key=lambda label: (-counter[label], label)) for name, counter in counts.items() if counter
    }
