"""What phrase grounding tasks share: the prompt names what to look for, the answer is its box or boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osler import box_formats
from osler.boxes import Box, clip
from osler.errors import EvaluationError
from osler.evaluation.controls import Control
from osler.evaluation.protocols.regions import DEFAULT_FORMAT
from osler.evaluation.tasks.grounding import Grounding
from osler.records import IMAGE_PLACEHOLDER, ImageRef, Provenance, Record, Region, Turn

QUESTION = "give me the location of {phrase}"
"""The prompt that MiniGPT-v2 type evaluations always use, without their task tag."""


class Phrases(Grounding):
    """Phrase grounding. There is no class to name, so no majority answer and no recognition."""

    protocols = ("grounding-iou", "grounding-acc50", "grounding-dice")
    strict = ()
    controls: tuple[Control, ...] = ("blank", "shuffled", "centre-box", "mean-box")
    max_new_tokens = 128
    kinds = ("refer",)
    wanted = "phrases with boxes"


def phrase_record(
    *,
    name: str,
    image: ImageRef,
    phrase: str,
    boxes: Sequence[Box],
    category: str,
    dataset: str,
    subject: str | None = None,
    provenance: Provenance | None = None,
) -> Record:
    """An item: where is the phrase?

    Args:
        name: id.
        image: with its size.
        phrase: as in the data.
        boxes: of the phrase.
        category: to group scores by.
        dataset: name.
        subject: pseudonym of the patient.
        provenance: of the data.
    """
    codec = box_formats.get(DEFAULT_FORMAT)
    return Record(
        id=name,
        images=(image,),
        turns=(
            Turn(role="user", text=f"{IMAGE_PLACEHOLDER}\n{QUESTION.format(phrase=phrase)}"),
            Turn(role="assistant", text=", ".join(codec.to_text(box) for box in boxes)),
        ),
        regions=tuple(Region(box=box, label=category) for box in boxes),
        subject=subject,
        tags={"question_type": "refer", "box_format": DEFAULT_FORMAT, "category": category, "dataset": dataset},
        provenance=provenance or Provenance(source=dataset),
    )


def pixel_box(numbers: Any, *, layout: str, width: int, height: int, where: str) -> Box:
    """Box from four pixel numbers of a file, cut at the image's edges.

    Args:
        numbers: "xyxy": corners; "xywh": left, top, width, height.
        layout: which of the two.
        width: of the image.
        height: of the image.
        where: file and row, for errors.

    Raises:
        EvaluationError: when there are not four numbers, or nothing of the box lies on the image.
    """
    if (
        not isinstance(numbers, list)
        or len(numbers) != 4
        or not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
    ):
        raise EvaluationError(f"{where}: bbox is {numbers!r:.60}; want four numbers")
    x1, y1, x2, y2 = (float(number) for number in numbers)
    if layout == "xywh":
        x2, y2 = x1 + x2, y1 + y2
    box = clip(x1, y1, x2, y2, width, height)
    if box is None or max(x2 - width, y2 - height, -x1, -y1) > 0.1 * max(width, height):
        raise EvaluationError(
            f"{where}: bbox {numbers} ({layout}) does not lie on the image of {width} x {height}; "
            "is it the other convention (xyxy, xywh)?"
        )
    return box
