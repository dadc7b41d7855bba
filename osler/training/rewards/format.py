"""Format reward: the completion states a readable box and names a known class. Its weight is 0 by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osler.box_formats import parse_boxes
from osler.training.rewards.base import completion_text
from osler.word_spans import find_names


class Format:
    """Half for boxes that can all be read (at least one where there is a true box), half for naming a known class.

    Where there is no true box: half for stating none, half for naming no class. An empty completion gets 0.

    Args:
        classes: names of all classes of the data, synonyms included.
        box_format: convention of the numbers, where the data set has no column `box_format`.

    Columns: `boxes`, `size`, and perhaps `box_format`.
    """

    def __init__(self, classes: Sequence[str], box_format: str = "norm1000_xyxy") -> None:
        self.__name__ = "format"
        self.classes, self.box_format = tuple(classes), box_format

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
        """0, 0.5 or 1 for each completion."""
        scores: list[float | None] = []
        for number, completion in enumerate(completions):
            text, (width, height) = completion_text(completion), map(int, size[number])
            found = parse_boxes(
                text, format=box_format[number] if box_format else self.box_format, width=width, height=height
            )
            wanted = bool(boxes[number])
            boxed = not found.rejected and bool(found.items) == wanted
            named = bool(find_names(text, self.classes)) == wanted
            scores.append(0.5 * boxed + 0.5 * named if text.strip() else 0.0)
        return scores
