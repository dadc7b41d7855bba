"""Controls: what a score is worth when the image is blank, is another's, or is not looked at.

- `blank`: a uniform image of the same size in the mean grey of the real one. Size and mean brightness are all that is
  left, so a score that stays high was not earned by looking.
- `shuffled`: the image of another item. It is never an image of the same subject, and none of the answers that the data
  give for the same question type on the substitute image equals the item's reference: answering rightly would be
  answering against the image shown. Items without such a partner are counted and left out of the pair.
- `noise`: the pixels of the real image in random order. Mean, deviation and histogram stay, no shape does.
- `text-only`: no image at all; the placeholders are taken out of the prompt.
- `majority`: the commonest answer of the *training* split for the item's question and answer type.
- `centre-box`, `mean-box`: of grounding tasks, see `osler.evaluation.box_controls`.
- `position`, `options-shuffled`: of items with options, see `osler.evaluation.option_orders`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import numpy as np
from PIL import Image, ImageStat

from osler.errors import EvaluationError
from osler.evaluation.protocols.vqa_text import normalise
from osler.records import IMAGE_PLACEHOLDER, Record, Turn

Control = Literal[
    "blank", "noise", "shuffled", "text-only", "options-shuffled", "majority", "position", "centre-box", "mean-box"
]
CONTROLS: tuple[Control, ...] = get_args(Control)
WITHOUT_MODEL: tuple[Control, ...] = ("majority", "position", "centre-box", "mean-box")
FOR_ANY_TASK: tuple[Control, ...] = ("blank", "noise", "shuffled", "text-only", "majority")
OF_OPTIONS: tuple[Control, ...] = ("position", "options-shuffled")
"""Controls of items whose prompt shows options."""
UNKNOWN_TYPE = "unknown"


def question_type(record: Record) -> str:
    """The record's `question_type` tag, or "unknown"."""
    return record.tags.get("question_type", UNKNOWN_TYPE)


def blank_image(image: Image.Image) -> Image.Image:
    """Uniform RGB image of the same size, in the mean grey (ITU-R 601 luma) of the image.

    Args:
        image: any mode PIL converts to RGB.
    """
    mean = round(ImageStat.Stat(image.convert("RGB").convert("L")).mean[0])
    return Image.new("RGB", image.size, (mean, mean, mean))


def noise_image(image: Image.Image, *, key: str) -> Image.Image:
    """The pixels of the image in another order: an RGB image of equal size, mean, deviation and histogram.

    Gaussian noise would have to be clipped, which on the dark images of radiology moves the mean.

    Args:
        image: any mode PIL converts to RGB.
        key: equal keys give equal noise.
    """
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
    pixels = np.asarray(image.convert("RGB"))
    mixed = np.random.default_rng(seed).permutation(pixels.reshape(-1, 3))
    return Image.fromarray(np.ascontiguousarray(mixed.reshape(pixels.shape)))


def without_placeholders(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Turns for a prompt without images: placeholders go, with the line break that set them off."""
    pattern = re.compile(rf"[ \t]*{re.escape(IMAGE_PLACEHOLDER)}[ \t]*\n?")
    return tuple(
        turn.model_copy(update={"text": pattern.sub("", turn.text).strip()}) if turn.role == "user" else turn
        for turn in turns
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffle:
    """Substitute images.

    Args:
        donors: item id -> record whose images are shown instead.
        without_partner: ids of items for which no other image qualifies.
    """

    donors: dict[str, Record]
    without_partner: tuple[str, ...]


_Images = tuple[tuple[str, int | None], ...]


def _images(record: Record) -> _Images:
    return tuple((image.path, image.frame) for image in record.images)


def shuffle_images(
    records: Sequence[Record],
    *,
    pool: Sequence[Record] | None = None,
    reference: Callable[[Record], str] = lambda record: record.answer,
    alike: Callable[[Record, Sequence[Record]], bool] = lambda record, others: False,
    seed: int = 0,
) -> Shuffle:
    """Choose a substitute image for every item.

    A partner has as many images, another subject (or, where either subject is unknown, simply other images), no image
    in common, at least one item of the same question type, and no item of that type with the same normalised answer.
    The choice depends on `seed` and the item's id only, not on the order of items.

    Args:
        records: items to give substitutes to.
        pool: records that partners are taken from; default: `records`.
        reference: gold answer of a record.
        alike: (item, items of the same question type on a substitute image) -> whether the substitute would not do.
        seed: of the choice.
    """
    answers: dict[tuple[_Images, str], set[str]] = defaultdict(set)
    about: dict[tuple[_Images, str], list[Record]] = defaultdict(list)
    holders: dict[_Images, Record] = {}
    for record in pool if pool is not None else records:
        if record.images:
            answers[_images(record), question_type(record)].add(normalise(reference(record)))
            about[_images(record), question_type(record)].append(record)
            kept = holders.setdefault(_images(record), record)
            if record.id < kept.id:
                holders[_images(record)] = record
    # One fixed circle of records in the order of their hash; every item starts at a place of its own and takes the
    # first that fits. That is independent of the order of items, and fast.
    circle = sorted(holders.items(), key=lambda entry: _rank(seed, entry[1].id))
    donors: dict[str, Record] = {}
    without = []
    for record in records:
        own, kind = {path for path, _ in _images(record)}, question_type(record)
        gold = normalise(reference(record))
        start = int(_rank(seed, "start", record.id), 16) % max(len(circle), 1)
        for images, holder in circle[start:] + circle[:start] if record.images else ():
            same_subject = record.subject is not None and record.subject == holder.subject
            told = answers.get((images, kind))
            fits = len(images) == len(record.images) and own.isdisjoint(path for path, _ in images)
            if not (fits and not same_subject and told and gold not in told):
                continue
            if not alike(record, about[images, kind]):
                donors[record.id] = holder
                break
        else:
            without.append(record.id)
    return Shuffle(donors=donors, without_partner=tuple(without))


def _rank(seed: int, *parts: str) -> str:
    return hashlib.sha256("\x1f".join((str(seed), *parts)).encode()).hexdigest()


class Majority(Protocol):
    """What the training labels alone answer."""

    @property
    def trained_on(self) -> int:
        """Number of training records counted."""
        ...

    @property
    def by(self) -> str:
        """What the commonest answer is counted within, for reports."""
        ...

    def answer(self, record: Record) -> tuple[str, bool]:
        """The majority answer for an item, and whether a fall-back was needed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityAnswers:
    """Commonest training answer by question type and answer type, with what to do for a type that training lacks.

    Fall-back order: same question type whatever the answer type, then same answer type, then the commonest answer of
    all. Ties go to the alphabetically first.

    Args:
        table: (question type or None, answer type or None) -> answer; None stands for any.
        trained_on: number of training records counted.
    """

    table: dict[tuple[str | None, str | None], str] = field(repr=False)
    trained_on: int

    @property
    def by(self) -> str:
        """What the commonest answer is counted within."""
        return "question and answer type"

    def answer(self, record: Record) -> tuple[str, bool]:
        """The majority answer for an item, and whether a fall-back was needed."""
        kind, answer_type = question_type(record), _answer_type(record)
        for key in ((kind, answer_type), (kind, None), (None, answer_type), (None, None)):
            if key in self.table:
                return self.table[key], key != (kind, answer_type)
        raise AssertionError("(None, None) is always in the table")


def _answer_type(record: Record) -> str:
    return record.tags.get("answer_type", UNKNOWN_TYPE).strip().upper()


def majority_answers(
    training: Sequence[Record], *, reference: Callable[[Record], str] = lambda record: record.answer
) -> MajorityAnswers:
    """Count normalised answers of training records.

    Raises:
        EvaluationError: when there are none: a majority of the test answers would be no control but a leak.
    """
    if not training:
        raise EvaluationError("the majority control needs training records; it is never computed on the test items")
    counts: dict[tuple[str | None, str | None], Counter[str]] = defaultdict(Counter)
    for record in training:
        text = normalise(reference(record))
        for kind in (question_type(record), None):
            for answer_type in (_answer_type(record), None):
                counts[kind, answer_type][text] += 1
    table = {key: min(counter, key=lambda text: (-counter[text], text)) for key, counter in counts.items()}
    return MajorityAnswers(table=table, trained_on=len(training))
