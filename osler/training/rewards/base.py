"""What every reward is: a callable with a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from osler.boxes import Box


@runtime_checkable
class Reward(Protocol):
    """Scores completions. `__name__` is how logs and TRL call it.

    Called with `prompts`, `completions`, `completion_ids` and the data set's columns as lists of one length; gives a
    number in [0, 1] for each completion, or None to be left out.
    """

    __name__: str

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward a completion."""
        ...


def completion_text(completion: Any) -> str:
    """The text of a completion: a string, or messages whose last one is the assistant's."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if completion else ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def boxes_of(corners: Sequence[Sequence[float]], size: Sequence[int]) -> list[Box]:
    """Boxes of the columns `boxes` (pixel corners) and `size` (width and height of the stored image).

    Raises:
        BoxError: when a box does not fit its image.
    """
    width, height = int(size[0]), int(size[1])
    return [Box(float(x1), float(y1), float(x2), float(y2), width, height) for x1, y1, x2, y2 in corners]
