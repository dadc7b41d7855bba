"""From a mask to boxes: one tight box for each connected component.

Connected means 8-connected: pixels that touch at a corner belong together, so that a thin oblique lesion is one.
"""

from __future__ import annotations

import numpy as np

from osler.boxes import Box
from osler.errors import BoxError

MIN_BOX_PIXELS = 12  # what a contour leaves behind where it crosses itself is smaller


def mask_boxes(mask: np.ndarray, *, smallest: int = MIN_BOX_PIXELS) -> tuple[Box, ...]:
    """Tight boxes of the 8-connected components of a mask.

    Args:
        mask: height x width, above zero inside.
        smallest: components with fewer pixels are left out as contour debris.

    Returns:
        Boxes in pixels of the mask (exclusive right and bottom edges), from the component with most pixels to the one
        with fewest; equally large ones in the order in which their first pixel is met, row by row.

    Raises:
        BoxError: when the mask is not two-dimensional or holds no pixel.
    """
    from scipy import ndimage

    if mask.ndim != 2 or 0 in mask.shape:
        raise BoxError(f"a mask of shape {mask.shape} has no boxes: want height x width")
    labels, _ = ndimage.label(mask > 0, structure=np.ones((3, 3), dtype=int))
    areas = np.bincount(labels.ravel())
    height, width = mask.shape
    boxes = []
    for number, slices in enumerate(ndimage.find_objects(labels), start=1):
        if slices is not None and areas[number] >= smallest:
            rows, columns = slices
            box = Box(float(columns.start), float(rows.start), float(columns.stop), float(rows.stop), width, height)
            boxes.append((int(areas[number]), box))
    return tuple(box for _, box in sorted(boxes, key=lambda item: -item[0]))
