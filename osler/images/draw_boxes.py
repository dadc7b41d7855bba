"""Boxes drawn on a picture: for reports, training logs and explanations.

Green for what is true and orange, dashed, for what was said (Okabe and Ito 2008): the two differ without colour vision,
and by their stroke in print. Every line has a dark rim, so that it shows on bright and on dark pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from osler.boxes import Box, resize
from osler.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

TRUE_COLOUR = "#009e73"
PREDICTED_COLOUR = "#e69f00"
_RIM = "#101010"
_LINE = 1 / 160  # of the long side
_TEXT = 1 / 26  # height of the label's letters


def draw_boxes(
    image: Image,
    boxes: Sequence[Box],
    *,
    colour: str = TRUE_COLOUR,
    labels: Sequence[str] | None = None,
    dashed: bool = False,
) -> Image:
    """Draw boxes on a copy of a picture; width of lines and size of letters grow with it.

    Args:
        image: picture in any mode that PIL converts to RGB; not changed.
        boxes: each refers to the picture, or to the same picture in another size and is then scaled.
        colour: of line and label, as PIL names colours ("#009e73", "orange").
        labels: one text for each box, or None; an empty text draws none.
        dashed: broken instead of full lines.

    Returns:
        An RGB picture of the same size.

    Raises:
        ImageError: when labels and boxes differ in number, or the colour has no such name.
    """
    from PIL import ImageColor, ImageDraw

    if labels is not None and len(labels) != len(boxes):
        raise ImageError(f"{len(labels)} labels for {len(boxes)} boxes; want one each")
    try:
        ink = ImageColor.getrgb(colour)[:3]
    except ValueError as error:
        raise ImageError(f"colour {colour!r} is unknown; want a name or #rrggbb") from error
    drawn = image.convert("RGB") if image.mode != "RGB" else image.copy()
    pen = ImageDraw.Draw(drawn)
    width = max(1, round(max(drawn.size) * _LINE))
    for box in boxes:
        x1, y1, x2, y2 = _pixels(box, drawn.size)
        sides = (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1)))
        if not dashed:
            # the rim lies inside and outside of the whole line
            for side in sides:
                pen.line(side, fill=_RIM, width=width + 2)
        for side in sides:
            for piece in _dashes(*side, step=6 * width) if dashed else (side,):
                if dashed:
                    pen.line(piece, fill=_RIM, width=width + 2)
                pen.line(piece, fill=ink, width=width)
    for box, label in zip(boxes, labels or (), strict=False):
        if label:
            _write(pen, label, _pixels(box, drawn.size), drawn.size, ink)
    return drawn


def _pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """First and last pixel of a box on a picture of that size; edges x2, y2 of a box are exclusive."""
    placed = resize(box, *size)
    x1, y1 = round(placed.x1), round(placed.y1)
    return x1, y1, max(round(placed.x2) - 1, x1), max(round(placed.y2) - 1, y1)


def _dashes(
    start: tuple[int, int], end: tuple[int, int], *, step: int
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Pieces of a line, drawn and left out in turn, with a whole piece at either end."""
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    pieces = max(1, round(length / step)) | 1  # an odd number begins and ends with a drawn piece
    across, down = (end[0] - start[0]) / pieces, (end[1] - start[1]) / pieces
    return [
        (
            (start[0] + number * across, start[1] + number * down),
            (start[0] + (number + 1) * across, start[1] + (number + 1) * down),
        )
        for number in range(0, pieces, 2)
    ]


def _write(
    pen: ImageDraw, text: str, corners: tuple[int, int, int, int], size: tuple[int, int], ink: tuple[int, ...]
) -> None:
    """The label on a plate above the box, or inside it where there is no room above."""
    from PIL import ImageFont

    font = ImageFont.load_default(max(9.0, max(size) * _TEXT))
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    wide, high = right - left + 4, bottom - top + 4
    above = corners[1] > high
    inset = 0 if above else round(max(size) * _LINE) + 2  # inside the box the plate leaves the line free
    x = max(0, min(corners[0] + inset, size[0] - wide - 1))
    y = corners[1] - high - 1 if above else max(0, min(corners[1] + inset, size[1] - high - 1))
    pen.rectangle((x, y, x + wide, y + high), fill=_RIM)
    pen.text((x + 2 - left, y + 2 - top), text, font=font, fill=ink)
