"""Which image tokens see a box: pixels of the stored image through the processor's resizing onto the patch grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal

import numpy as np

from osler.box_transforms import Transform
from osler.boxes import Box
from osler.errors import ModelError

Rule = Literal["centre", "half"]


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """The image tokens of one picture, in row-major order.

    Args:
        transform: from the stored image to the one that the encoder sees.
        rows: of tokens.
        columns: of tokens.
    """

    transform: Transform
    rows: int
    columns: int

    @property
    def tokens(self) -> int:
        """Number of image tokens."""
        return self.rows * self.columns

    def region(self, boxes: Sequence[Box], *, rule: Rule = "centre") -> frozenset[int]:
        """Tokens whose patches lie in any of some boxes.

        Args:
            boxes: on the stored image.
            rule: "centre": a patch lies in a box that holds its centre (left and top edge included, right and bottom
                not); "half": one of whose area at least half is covered.

        Returns:
            Indices `row * columns + column`. A box too small for any patch gives the patch that holds its centre; a
            box that a crop cut off gives none.
        """
        found: set[int] = set()
        for box in boxes:
            seen = self.transform.apply(box)
            if seen is not None:
                found |= self._inside(seen, rule)
        return frozenset(found)

    def _inside(self, box: Box, rule: Rule) -> set[int]:
        high, wide = box.height / self.rows, box.width / self.columns
        top, left = np.arange(self.rows) * high, np.arange(self.columns) * wide
        if rule == "centre":
            down = (top + high / 2 >= box.y1) & (top + high / 2 < box.y2)
            across = (left + wide / 2 >= box.x1) & (left + wide / 2 < box.x2)
            inside = down[:, None] & across[None]
        else:
            down = np.clip(np.minimum(top + high, box.y2) - np.maximum(top, box.y1), 0, None) / high
            across = np.clip(np.minimum(left + wide, box.x2) - np.maximum(left, box.x1), 0, None) / wide
            inside = down[:, None] * across[None] >= 0.5
        chosen = {int(index) for index in np.flatnonzero(inside)}
        if not chosen:
            row = min(self.rows - 1, int((box.y1 + box.y2) / 2 / high))
            column = min(self.columns - 1, int((box.x1 + box.x2) / 2 / wide))
            chosen = {row * self.columns + column}
        return chosen


def patch_grid(
    processor: Any, width: int, height: int, *, tokens: int, grid_thw: Sequence[int] | None = None
) -> PatchGrid:
    """The grid of image tokens that a processor makes of an image.

    Args:
        processor: of the model; its configuration says how pictures are padded, resized and cropped.
        width: of the stored image, in pixels.
        height: of the stored image.
        tokens: image tokens that the picture has in the input.
        grid_thw: the processor's `image_grid_thw` of the picture, for families that keep its aspect (Qwen-VL).

    Raises:
        ModelError: when the picture is cut into tiles, or the number of tokens is not that of the grid.
    """
    image = processor.image_processor
    if grid_thw is not None:
        _, down, across = (int(number) for number in grid_thw)
        merge, patch = int(image.merge_size), int(image.patch_size)
        grid = PatchGrid(
            Transform.of(width, height).resize(across * patch, down * patch), down // merge, across // merge
        )
    else:
        if getattr(image, "do_image_splitting", False) or getattr(image, "do_pan_and_scan", False):
            raise ModelError(
                f"{type(image).__name__} cuts pictures into tiles, whose order on the picture is not known here"
            )
        side = isqrt(tokens)
        grid = PatchGrid(image_transform(image, width, height), side, side)
    if grid.tokens != tokens:
        raise ModelError(
            f"{type(image).__name__}: a picture of {width} x {height} has {tokens} image tokens, "
            f"not the {grid.rows} x {grid.columns} of a grid"
        )
    return grid


def any_seen(processor: Any, boxes: Sequence[Box]) -> bool:
    """Whether the encoder sees anything of some boxes of a picture: a crop may cut all of them off.

    Args:
        processor: of the model.
        boxes: on the stored image.
    """
    image = processor.image_processor
    if not boxes or not getattr(image, "do_center_crop", False):
        return bool(boxes)
    transform = image_transform(image, boxes[0].width, boxes[0].height)
    return any(transform.apply(box) is not None for box in boxes)


def image_transform(image_processor: Any, width: int, height: int) -> Transform:
    """What an image processor does to the place of things: pad to a square, resize, crop the centre; in that order.

    Args:
        image_processor: of transformers, with `do_pad`, `do_resize`, `size`, `do_center_crop`, `crop_size`.
        width: of the stored image, in pixels.
        height: of the stored image.

    Raises:
        ModelError: for a `size` of a kind that is not known here.
    """
    result = Transform.of(width, height)
    if getattr(image_processor, "do_pad", False):
        result = result.square()
    if getattr(image_processor, "do_resize", True):
        result = result.resize(*_resized(image_processor, *result.size))
    if getattr(image_processor, "do_center_crop", False):
        crop = _plain(image_processor.crop_size)
        result = result.center_crop(int(crop["width"]), int(crop["height"]))
    return result


def _resized(image_processor: Any, width: int, height: int) -> tuple[int, int]:
    size = _plain(image_processor.size)
    if "width" in size and "height" in size:
        return int(size["width"]), int(size["height"])
    if set(size) == {"shortest_edge"}:
        short, edge = min(width, height), int(size["shortest_edge"])
        longer = int(edge * max(width, height) / short)  # cut, as transformers does
        return (edge, longer) if width <= height else (longer, edge)
    raise ModelError(f"{type(image_processor).__name__}: how a picture is resized to {size} is not known here")


def _plain(size: Any) -> dict[str, Any]:
    """Sizes of image processors, which are mappings or objects with fields that may be None."""
    names = ("height", "width", "shortest_edge", "longest_edge", "max_height", "max_width")
    pairs = size.items() if hasattr(size, "items") else ((name, getattr(size, name, None)) for name in names)
    return {name: value for name, value in pairs if value is not None}
