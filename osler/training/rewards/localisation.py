"""Localisation reward: how well the boxes in a completion cover the true ones (UMed-LVLM's IoU reward)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osler.box_formats import parse_boxes
from osler.box_matching import match_boxes
from osler.training.rewards.base import boxes_of, completion_text


class Localisation:
    """Intersection over union of stated and true boxes, on the stored image.

    With one box on either side this is UMed-LVLM's `|Pred ∩ GT| / |Pred ∪ GT|`. Several boxes are paired by the best
    assignment; the sum of IoU is divided by the greater number of boxes, so that extra boxes cost. A completion without
    a readable box gets 0. Where there is no true box, saying none gets 1 and saying any, readable or not, gets 0;
    so does saying nothing at all.

    Args:
        box_format: convention of the numbers, where the data set has no column `box_format`.

    Columns: `boxes` (pixel corners of the stored image), `size` (its width and height), and perhaps `box_format`.
    """

    def __init__(self, box_format: str = "norm1000_xyxy") -> None:
        self.__name__ = "localisation"
        self.box_format = box_format

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        *,
        boxes: Sequence[Sequence[Sequence[float]]],
        size: Sequence[Sequence[int]],
        box_format: Sequence[str] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """IoU of each completion, in [0, 1].

        Raises:
            BoxError: when a true box does not fit its image or the format is unknown.
        """
        return [
            self.score(completion_text(completion), boxes[i], size[i], box_format[i] if box_format else None)
            for i, completion in enumerate(completions)
        ]

    def score(
        self, text: str, boxes: Sequence[Sequence[float]], size: Sequence[int], box_format: str | None = None
    ) -> float:
        """IoU of one text."""
        true = boxes_of(boxes, size)
        if not text.strip():  # an empty answer does not say that nothing is there, as every protocol has it
            return 0.0
        width, height = int(size[0]), int(size[1])
        found = parse_boxes(text, format=box_format or self.box_format, width=width, height=height)
        if not true:  # a broken box still says that something is there, as the protocol `grounding-iou` has it
            return float(not found.items and not found.rejected)
        return match_boxes(found.boxes, true).iou
