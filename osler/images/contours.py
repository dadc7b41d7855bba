"""Outlines to masks, as radiotherapy structure sets store them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def contour_mask(contours: Iterable[Sequence[tuple[float, float]]], width: int, height: int) -> NDArray[np.bool_]:
    """Fill closed outlines; what two of them cover is left out, so that one inside another is a hole.

    Args:
        contours: each a list of (x, y) in pixels, where whole numbers are the centres of pixels (DICOM PS3.3
            C.7.6.2.1.1). Corners are moved to the nearest one; the pixels under the outline belong to the mask.
        width: of the mask.
        height: of the mask.

    Returns:
        Mask of shape (height, width).
    """
    from PIL import Image, ImageDraw

    mask = np.zeros((height, width), dtype=bool)
    for corners in contours:
        canvas = Image.new("1", (width, height))
        nearest = [(round(x), round(y)) for x, y in corners]  # Pillow cuts fractions off, half a pixel to the top left
        ImageDraw.Draw(canvas).polygon(nearest, fill=1, outline=1)
        mask ^= np.asarray(canvas)
    return mask
