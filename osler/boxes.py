"""`Box`: four numbers that carry their convention, with geometry.

A `Box` always holds pixel corners (x1, y1, x2, y2) of an image of known size; the origin is the top left corner,
x grows to the right, y downwards, and x2, y2 are exclusive edges (a box over the whole image is 0, 0, width, height).
Every other convention is a codec in `osler.box_formats`, so a number without its unit never travels.

The functions below measure overlap and move a box along with its image (resize, pad, crop, square pad), each with its
inverse; `osler.box_transforms` chains them into one record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

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


class Padding(NamedTuple):
    """Pixels added on each side of an image."""

    left: int
    top: int
    right: int
    bottom: int


def iou(a: Box, b: Box) -> float:
    """Intersection over union (Jaccard index) of two boxes of one image.

    Returns:
        A number in [0, 1].

    Raises:
        BoxError: when the boxes refer to images of different size.
    """
    intersection, union = _overlap(a, b)
    return intersection / union


def giou(a: Box, b: Box) -> float:
    """Generalised IoU: `IoU - (hull - union) / hull`, hull = smallest box around both.

    Source: Rezatofighi et al., CVPR 2019, algorithm 1. Unlike IoU it says how far disjoint boxes are apart.

    Returns:
        A number in (-1, 1]; 1 for equal boxes.

    Raises:
        BoxError: when the boxes refer to images of different size.
    """
    intersection, union = _overlap(a, b)
    hull = (max(a.x2, b.x2) - min(a.x1, b.x1)) * (max(a.y2, b.y2) - min(a.y1, b.y1))
    return intersection / union - (hull - union) / hull


def dice(a: Box, b: Box) -> float:
    """Dice coefficient `2 |a ∩ b| / (|a| + |b|)`, in [0, 1].

    Raises:
        BoxError: when the boxes refer to images of different size.
    """
    intersection, _ = _overlap(a, b)
    return 2 * intersection / (a.area + b.area)


def as_array(boxes: Sequence[Box]) -> np.ndarray:
    """Corners of boxes of one image as float64, shape (n, 4), columns x1, y1, x2, y2 in pixels.

    Raises:
        BoxError: when the boxes refer to images of different size.
    """
    for box in boxes[1:]:
        _same_image(boxes[0], box)
    return np.array([box.xyxy() for box in boxes], dtype=np.float64).reshape(-1, 4)


def iou_matrix(boxes_a: Sequence[Box], boxes_b: Sequence[Box]) -> np.ndarray:
    """IoU of every box of `boxes_a` with every box of `boxes_b`: float64, shape (n_a, n_b).

    Raises:
        BoxError: when the boxes refer to images of different size.
    """
    intersection, union, _ = _pairwise(boxes_a, boxes_b)
    return intersection / union


def giou_matrix(boxes_a: Sequence[Box], boxes_b: Sequence[Box]) -> np.ndarray:
    """Generalised IoU (see `giou`) of every pair: float64, shape (n_a, n_b).

    Raises:
        BoxError: when the boxes refer to images of different size.
    """
    intersection, union, hull = _pairwise(boxes_a, boxes_b)
    return intersection / union - (hull - union) / hull


def dice_matrix(boxes_a: Sequence[Box], boxes_b: Sequence[Box]) -> np.ndarray:
    """Dice coefficient of every pair: float64, shape (n_a, n_b).

    Raises:
        BoxError: when the boxes refer to images of different size.
    """
    intersection, union, _ = _pairwise(boxes_a, boxes_b)
    return 2 * intersection / (union + intersection)


def clip(x1: float, y1: float, x2: float, y2: float, width: int, height: int) -> Box | None:
    """The part of four pixel corners that lies on an image of `width` x `height`; None when nothing does."""
    x1, x2 = min(max(x1, 0.0), float(width)), min(max(x2, 0.0), float(width))
    y1, y2 = min(max(y1, 0.0), float(height)), min(max(y2, 0.0), float(height))
    return Box(x1, y1, x2, y2, width, height) if x1 < x2 and y1 < y2 else None


def resize(box: Box, width: int, height: int) -> Box:
    """Box after its image is resized to `width` x `height`; the inverse is `resize` to the old size.

    Raises:
        BoxError: when the new size is not positive.
    """
    _positive(width, height)
    horizontal, vertical = width / box.width, height / box.height
    placed = clip(box.x1 * horizontal, box.y1 * vertical, box.x2 * horizontal, box.y2 * vertical, width, height)
    if placed is None:
        raise BoxError(f"{box} has no area left after resizing to {width} x {height}")
    return placed


def pad(box: Box, left: int, top: int, right: int, bottom: int) -> Box:
    """Box after pixels are added around its image; the inverse is `unpad`.

    Raises:
        BoxError: when a number is negative.
    """
    if min(left, top, right, bottom) < 0:
        raise BoxError(f"padding ({left}, {top}, {right}, {bottom}) is negative; use crop to cut pixels off")
    width, height = box.width + left + right, box.height + top + bottom
    placed = clip(box.x1 + left, box.y1 + top, box.x2 + left, box.y2 + top, width, height)
    assert placed is not None, "padding keeps every pixel"
    return placed


def unpad(box: Box, left: int, top: int, right: int, bottom: int) -> Box | None:
    """Inverse of `pad`: what of a box on the padded image lies on the image; None when it lies in the border."""
    return crop(box, left, top, box.width - left - right, box.height - top - bottom)


def crop(box: Box, x: int, y: int, width: int, height: int) -> Box | None:
    """What of a box remains when its image is cut to the window at (x, y) of `width` x `height` pixels.

    Returns:
        The clipped box in the window's coordinates, or None when nothing remains: an object that a crop loses is
        ordinary, not an error, and the caller counts it.

    Raises:
        BoxError: when the window is not inside the image.
    """
    _window(box.width, box.height, x, y, width, height)
    return clip(box.x1 - x, box.y1 - y, box.x2 - x, box.y2 - y, width, height)


def uncrop(box: Box, x: int, y: int, width: int, height: int) -> Box:
    """Inverse of `crop` at (x, y) for what remained: box on the uncut image of `width` x `height` pixels.

    Raises:
        BoxError: when the window at (x, y) of the box's image size is not inside that image.
    """
    _window(width, height, x, y, box.width, box.height)
    return pad(box, x, y, width - x - box.width, height - y - box.height)


def square_padding(width: int, height: int) -> Padding:
    """Border that centres an image on a square of side `max(width, height)`, as LLaVA 1.5 pads.

    The left or top border is `(side - short) // 2`; an odd remainder goes to the right or bottom. The border's colour
    (the encoder's mean) is the image code's business.
    """
    _positive(width, height)
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    return Padding(left, top, side - width - left, side - height - top)


def letterbox(box: Box) -> Box:
    """Box on the square that `square_padding` makes of its image; the inverse is `unletterbox`."""
    return pad(box, *square_padding(box.width, box.height))


def unletterbox(box: Box, width: int, height: int) -> Box | None:
    """Inverse of `letterbox`: box on the image of `width` x `height`; None when it lies wholly in the border.

    Raises:
        BoxError: when the box's image is not a square of side `max(width, height)`.
    """
    side = max(width, height)
    if (box.width, box.height) != (side, side):
        raise BoxError(
            f"box refers to an image of {box.width} x {box.height}; the square of {width} x {height} has side {side}"
        )
    return unpad(box, *square_padding(width, height))


def _overlap(a: Box, b: Box) -> tuple[float, float]:
    _same_image(a, b)
    wide = max(0.0, min(a.x2, b.x2) - max(a.x1, b.x1))
    high = max(0.0, min(a.y2, b.y2) - max(a.y1, b.y1))
    return wide * high, a.area + b.area - wide * high


def _pairwise(boxes_a: Sequence[Box], boxes_b: Sequence[Box]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intersection, union and hull areas, each of shape (n_a, n_b)."""
    if boxes_a and boxes_b:
        _same_image(boxes_a[0], boxes_b[0])
    a, b = as_array(boxes_a)[:, None, :], as_array(boxes_b)[None, :, :]
    inner = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    outer = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    area_a, area_b = ((sides[..., 2:] - sides[..., :2]).prod(axis=-1) for sides in (a, b))
    intersection = inner.prod(axis=-1)
    return intersection, area_a + area_b - intersection, outer.prod(axis=-1)


def _same_image(a: Box, b: Box) -> None:
    if (a.width, a.height) != (b.width, b.height):
        raise BoxError(
            f"boxes refer to images of {a.width} x {a.height} and {b.width} x {b.height} pixels; "
            "bring both to one image first (resize, crop, Transform)"
        )


def _positive(width: int, height: int) -> None:
    if not (width > 0 and height > 0):
        raise BoxError(f"image size {width} x {height} is not positive")


def _window(width: int, height: int, x: int, y: int, inner_width: int, inner_height: int) -> None:
    _positive(inner_width, inner_height)
    if x < 0 or y < 0 or x + inner_width > width or y + inner_height > height:
        raise BoxError(
            f"window of {inner_width} x {inner_height} at ({x}, {y}) is not inside the image of {width} x {height}"
        )
