"""What the grounding tasks share: questions about regions, answered with boxes and classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from osler import box_formats
from osler.boxes import Box, iou_matrix, resize
from osler.errors import BoxError, EvaluationError
from osler.evaluation.box_controls import centre_box, majority_classes, mean_box
from osler.evaluation.controls import Control, Majority
from osler.evaluation.protocols.regions import DEFAULT_FORMAT, Asked, Regions
from osler.evaluation.tasks.base import Problem
from osler.evaluation.tasks.records import Records
from osler.evaluation.tasks.region_items import (
    CLASSES_TAG,
    image_size,
    record_classes,
    region_items,
    synonyms_of,
    with_vocabulary,
)
from osler.instruct.box_text import reformat_boxes
from osler.instruct.wording import NO_ABNORMALITY, naming
from osler.records import Record

ELSEWHERE = 0.1
"""A substitute image of the shuffled control has no box that overlaps one of the item's by more IoU than this."""
_ASKED: dict[str, Asked] = {"region": "classes", "refer": "boxes"}


class Grounding(Records):
    """Where is it, and what is it? Items have regions, or are known to have none.

    `data` is a record file or a folder with `test.jsonl` and, for controls, `train.jsonl`. Records with the tags
    `question_type` ("abnormality", or "region" where the question gives the box) and `box_format` are asked as they
    are; other records with regions become one question for each image. The classes of all items of the split are the
    vocabulary of the recognition protocols; `synonyms.json` in the folder, `{class: [other names]}`, adds names.
    """

    version = "1"
    protocols: tuple[str, ...] = (
        "grounding-iou",
        "grounding-acc50",
        "grounding-dice",
        "grounding-labelled",
        "recognition-strict",
        "recognition-lenient",
    )
    strict: tuple[str, ...] = ("recognition-strict",)
    groups: tuple[str, ...] = ("dataset",)
    wanted = "one image with regions, or known to have none"
    controls: tuple[Control, ...] = (*Records.controls, "centre-box", "mean-box")
    max_new_tokens = 256
    states_boxes = True
    kinds: ClassVar[tuple[str, ...]] = ("abnormality", "region")
    """Question types of this task."""

    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Items of the split; see the class.

        Raises:
            EvaluationError: when there is no such split, or `synonyms.json` is malformed.
            RecordError: for a bad line.
        """
        records = super().load(data, split=split, convention=convention)
        folder = self.image_folder(data)
        return with_vocabulary(self.items(records, convention), _synonyms(folder / "synonyms.json"))

    def items(self, records: Sequence[Record], convention: str) -> list[Record]:
        """Records that already are items, or else one item for each image."""
        return [record for record in records if self._is_item(record)] or region_items(
            records, keeps=lambda label: self.keeps(label, convention), shows_nothing=self.shows_nothing
        )

    def select(self, records: Sequence[Record]) -> list[Record]:
        """Items; training records of another form are turned into items first."""
        ready = [record for record in records if self._is_item(record)]
        return ready or self.items(records, self.conventions[0])

    def _is_item(self, record: Record) -> bool:
        return record.tags.get("question_type") in self.kinds and "box_format" in record.tags

    def keeps(self, label: str, convention: str) -> bool:
        """Whether regions of a label count."""
        return True

    def shows_nothing(self, record: Record) -> bool:
        """Whether a record says that its image shows nothing."""
        return False

    def options(self, record: Record) -> tuple[str, ...]:
        """The vocabulary of classes."""
        return tuple(json.loads(record.tags.get(CLASSES_TAG, "[]")))

    def regions(self, record: Record) -> Regions | None:
        """True boxes and classes of a record that `validate` accepts."""
        size = image_size(record)
        if size is None:
            return None
        asked = _ASKED.get(record.tags.get("question_type", ""), "boxes and classes")
        return Regions(
            boxes=tuple(region.box for region in record.regions),
            labels=tuple(region.label for region in record.regions),
            width=size[0],
            height=size[1],
            box_format=record.tags.get("box_format", DEFAULT_FORMAT),
            asked=asked,
            classes=record_classes(record) if asked == "classes" else None,
            synonyms=synonyms_of(record),
        )

    def restated(self, record: Record, box_format: str) -> Record:
        """The record with its boxes in another format."""
        return reformat_boxes(record, box_format)

    def write(self, record: Record, boxes: Sequence[Box], classes: Sequence[str]) -> str:
        """An answer to the record's question that states these boxes, in its format, and then names these classes."""
        codec = box_formats.get(record.tags.get("box_format", DEFAULT_FORMAT))
        texts = [codec.to_text(box) for box in boxes]
        asked = _ASKED.get(record.tags.get("question_type", ""), "boxes and classes")
        if asked == "boxes":
            return ", ".join(texts)
        named = [naming(name) for name in classes]
        if asked == "classes":
            return " ".join(named) or NO_ABNORMALITY
        places = [f"It lies at {text}." for text in texts]
        return " ".join(["There is an abnormality.", *places, *named]) if texts or named else NO_ABNORMALITY

    def majority(self, training: Sequence[Record]) -> Majority:
        """The commonest classes, without a box."""
        return majority_classes(training, self.write)

    def box_controls(self, training: Sequence[Record]) -> Mapping[Control, Majority]:
        """`centre-box`, and `mean-box` where training boxes are known."""
        found: dict[Control, Majority] = {"centre-box": centre_box(training, self.write)}
        if any(record.regions for record in training):
            found["mean-box"] = mean_box(training, self.write)
        return found

    def alike(self, record: Record, others: Sequence[Record]) -> bool:
        """Whether the answer might be right on an image that `others` are about: a box at the same place, or a class.

        A class counts only where an answer should name it and there are several to tell apart.
        """
        mine = [resize(region.box, 1000, 1000) for region in record.regions]
        theirs = [resize(region.box, 1000, 1000) for other in others for region in other.regions]
        if mine and theirs and iou_matrix(mine, theirs).max() > ELSEWHERE:
            return True
        if record.tags.get("question_type") == "refer":
            return False
        shared = set(record_classes(record)) & {name for other in others for name in record_classes(other)}
        return bool(shared) and len(self.options(record)) > 1

    def validate(self, records: Sequence[Record]) -> list[Problem]:
        """As every task; besides, one image of known size, a known format, and as many boxes in the answer as true."""
        problems = [
            Problem(item=record.id, protocol=None, reason=reason) for record in records if (reason := _fault(record))
        ]
        if problems:
            return problems
        for record in records:
            regions = self.regions(record)
            assert regions is not None
            stated = len(regions.stated(self.reference(record)).items) if regions.asked != "classes" else 0
            if regions.asked != "classes" and stated != len(regions.boxes):
                reason = f"its gold answer states {stated} boxes ({regions.box_format}), true are {len(regions.boxes)}"
                problems.append(Problem(item=record.id, protocol="grounding-iou", reason=reason))
        return problems + super().validate(records)


def _fault(record: Record) -> str | None:
    if len(record.images) != 1:
        return f"it has {len(record.images)} images; want one"
    if image_size(record) is None:
        return "the width and height of its image are unknown; boxes cannot be read without"
    try:
        box_formats.get(record.tags.get("box_format", DEFAULT_FORMAT))
    except BoxError as error:
        return str(error)
    return None


def _synonyms(path: Path) -> dict[str, list[str]]:
    """Class -> other names."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read: {error}") from error
    for others in content.values() if isinstance(content, dict) else [None]:
        if not isinstance(others, list) or not all(isinstance(other, str) and other.strip() for other in others):
            raise EvaluationError(f"{path}: want {{class: [other names]}}")
    return dict(content)
