"""Boxes of masks, against a plain flood fill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from osler.errors import BoxError
from osler.mask_boxes import MIN_BOX_PIXELS, mask_boxes

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def flood(mask: np.ndarray) -> list[tuple[int, tuple[int, int, int, int]]]:
    """(area, box) of each 8-connected component, by plain flood fill."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    while left:
        queue = [left.pop()]
        component = set(queue)
        while queue:
            y, x = queue.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            component |= near
            queue += near
        rows, columns = [y for y, _ in component], [x for _, x in component]
        found.append((len(component), (min(columns), min(rows), max(columns) + 1, max(rows) + 1)))
    return found


@settings(max_examples=60, deadline=None)
@given(MASKS, st.integers(1, 5))
def test_boxes_agree_with_flood_fill(mask: np.ndarray, smallest: int) -> None:
    boxes = mask_boxes(mask, smallest=smallest)
    wanted = sorted(box for area, box in flood(mask) if area >= smallest)
    assert sorted(tuple(map(int, box.xyxy())) for box in boxes) == wanted
    assert all((box.width, box.height) == (mask.shape[1], mask.shape[0]) for box in boxes)


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_every_pixel_is_covered_and_every_side_is_touched(mask: np.ndarray) -> None:
    covered = np.zeros_like(mask)
    for box in mask_boxes(mask, smallest=1):
        x1, y1, x2, y2 = map(int, box.xyxy())
        inside = mask[y1:y2, x1:x2]
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
        covered[y1:y2, x1:x2] = True
    assert not (mask & ~covered).any()


@settings(max_examples=60, deadline=None)
@given(MASKS, st.integers(1, 6))
def test_the_largest_comes_first(mask: np.ndarray, smallest: int) -> None:
    area_of: dict[tuple[int, int, int, int], list[int]] = {}
    for area, box in flood(mask):
        area_of.setdefault(box, []).append(area)
    areas = []
    for box in mask_boxes(mask, smallest=smallest):
        candidates = sorted((a for a in area_of[tuple(map(int, box.xyxy()))] if a >= smallest), reverse=True)
        areas.append(candidates[0])
        area_of[tuple(map(int, box.xyxy()))].remove(candidates[0])
    assert areas == sorted(areas, reverse=True)
    assert all(area >= smallest for area in areas)


def test_corners_connect_and_debris_is_left_out() -> None:
    mask = np.zeros((9, 9), dtype=np.uint8)
    mask[0:3, 0:3] = mask[3:6, 3:6] = 255  # touch at a corner: one component of 18 pixels
    mask[8, 8] = 1
    (box,) = mask_boxes(mask)
    assert box.xyxy() == (0, 0, 6, 6)
    assert len(mask_boxes(mask, smallest=1)) == 2
    assert mask_boxes(mask, smallest=19) == ()
    assert MIN_BOX_PIXELS == 12


def test_equal_components_keep_the_order_of_rows() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[6:10, 0:3] = mask[0:4, 7:10] = True
    assert [box.y1 for box in mask_boxes(mask)] == [0, 6]


@pytest.mark.parametrize("shape", [(3, 3, 3), (5,), (0, 4)])
def test_only_a_plane_has_boxes(shape: tuple[int, ...]) -> None:
    with pytest.raises(BoxError, match="height x width"):
        mask_boxes(np.ones(shape))
