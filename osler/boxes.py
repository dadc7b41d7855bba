"""`Box`: four numbers that carry their convention, with geometry.

A `Box` always holds pixel corners (x1, y1, x2, y2) of an image of known size; the origin is the top left corner,
x grows to the right, y downwards, and x2, y2 are exclusive edges (a box over the whole image is 0, 0, width, height).
Every other convention is a codec in `osler.box_formats`, so a number without its unit never travels.
"""

from __future__ import annotations

from dataclasses import dataclass

from osler.errors import BoxError


@dataclass(frozen=True, slots=True)
class Box:
    """Axis-aligned box in pixels of an image of `width` x `height`.

    Args:
        x1: left edge, in pixels.
        y1: top edge, in pixels.
        x2: right edge (exclusive), in pixels.
        y2: bottom edge (exclusive), in pixels.
        width: width of the image the box refers to, in pixels.
        height: height of that image, in pixels.

    Raises:
        BoxError: when the box has no area or reaches outside its image.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise BoxError(f"image size {self.width} x {self.height} is not positive")
        if not (self.x1 < self.x2 and self.y1 < self.y2):
            raise BoxError(
                f"box ({self.x1:g}, {self.y1:g}, {self.x2:g}, {self.y2:g}) has no area: want x1 < x2, y1 < y2"
            )
        slack = 1e-6 * max(self.width, self.height)  # float round trips may leave the edge by a hair
        if self.x1 < -slack or self.y1 < -slack or self.x2 > self.width + slack or self.y2 > self.height + slack:
            raise BoxError(
                f"box ({self.x1:g}, {self.y1:g}, {self.x2:g}, {self.y2:g}) lies outside its image "
                f"of {self.width} x {self.height} pixels; clip it or check its unit (pixels, 0-1, 0-100, 0-1000)"
            )

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    def xyxy(self) -> tuple[float, float, float, float]:
        """The corners (x1, y1, x2, y2) in pixels."""
        return self.x1, self.y1, self.x2, self.y2
