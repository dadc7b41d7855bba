"""Phantom studies: from the facts of a scene to grey pixels and the exact boxes of its findings.

The body part is turned, scaled and shifted; findings are placed where the facts say, measured, and scaled until their
size class is right; then the picture is given the look of its modality, distracting marks, and a random grey scale.
Half of all pictures are shown inverted, as viewers can: no brightness at a place means anything by itself.
"""

from __future__ import annotations

from math import cos, radians, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from osler.boxes import Box
from osler.errors import SourceError
from osler.sources import phantom_looks, phantom_marks
from osler.sources.phantom_anatomy import Body, body
from osler.sources.phantom_scene import EXTENT_RANGES, SIDES, ZONES, Finding, Scene
from osler.sources.phantom_shapes import PIXEL, Grid, Shape, finding

MIN_PIXELS, MAX_PIXELS = 48, 128
_ATTEMPTS = 400


class Picture(NamedTuple):
    """A drawn scene.

    Args:
        grey: 8-bit pixels, shape (pixels, pixels).
        boxes: of the findings, in the scene's order: the tightest boxes around their masks.
        masks: pixels that a finding covers by half or more, before blur; shape (pixels, pixels) each.
    """

    grey: NDArray[np.uint8]
    boxes: tuple[Box, ...]
    masks: tuple[NDArray[np.bool_], ...]


def draw(scene: Scene, rng: np.random.Generator, *, pixels: int = 64) -> Picture:
    """Draw a scene.

    Args:
        scene: the facts.
        rng: decides all the rest.
        pixels: side of the picture, 48 to 128.

    Raises:
        SourceError: `pixels` is out of range.
    """
    if not MIN_PIXELS <= pixels <= MAX_PIXELS:
        raise SourceError(f"pixels={pixels} is out of range; want {MIN_PIXELS} to {MAX_PIXELS}")
    axis = (np.arange(pixels) + 0.5) * 2 / pixels - 1
    x, y = np.broadcast_to(axis, (pixels, pixels)), np.broadcast_to(axis[:, None], (pixels, pixels))
    for _ in range(_ATTEMPTS):
        part = _pose(scene, x, y, rng)
        view = phantom_looks.view(scene.modality, x, y, rng)
        placed = _place_all(scene.findings, part.inside * view, x, y, rng)
        if placed is not None:
            break
    else:
        raise AssertionError(f"no room for {scene} in {_ATTEMPTS} attempts")
    values = phantom_looks.tissue(scene.modality, part, rng)
    values = phantom_marks.vessels(values, part.inside, x, y, rng)
    for shape in placed:
        values = _blend(values, shape, rng)
    # noise of a stream of its own: how much is drawn there depends on the values
    noise = np.random.default_rng(rng.bit_generator.random_raw())
    values = phantom_looks.acquire(scene.modality, values, view, x, y, noise)
    masks = tuple(shape.cover >= 0.5 for shape in placed)
    boxes = tuple(_box(mask) for mask in masks)
    values = phantom_marks.burn_in(values, boxes, x, y, rng)
    return Picture(_display(values, rng), boxes, masks)


def _pose(scene: Scene, x: Grid, y: Grid, rng: np.random.Generator) -> Body:
    turn = radians(float(rng.uniform(-12, 12)))
    scale = float(rng.uniform(0.88, 1.04))
    dx, dy = (float(value) for value in rng.uniform(-0.09, 0.09, 2))
    along = ((x - dx) * cos(turn) + (y - dy) * sin(turn)) / scale
    down = ((y - dy) * cos(turn) - (x - dx) * sin(turn)) / scale
    return body(scene.organ, along, down, rng, phantom_looks.EDGES[scene.modality])


def _place_all(
    findings: tuple[Finding, ...], room: Grid, x: Grid, y: Grid, rng: np.random.Generator
) -> list[Shape] | None:
    """Shapes that lie in the body, in their places and apart from each other; None when one finds no room."""
    outside = room <= 0.7
    placed: list[Shape] = []
    taken = np.zeros_like(outside)
    gap = 2 * x.shape[0] // 64  # pixels between boxes
    for item in findings:
        for _ in range(12):
            shape = _place(item, x, y, rng)
            if shape is None:
                continue
            mask = shape.cover >= 0.5
            x1, y1, x2, y2 = (int(value) for value in _box(mask).xyxy())
            # a finding may reach a little over the rim, as a mass of the skin does
            if (mask & outside).sum() <= 0.1 * mask.sum() and not taken[y1:y2, x1:x2].any():
                break
        else:
            return None
        placed.append(shape)
        taken[max(0, y1 - gap) : y2 + gap, max(0, x1 - gap) : x2 + gap] = True
    return placed


def _place(item: Finding, x: Grid, y: Grid, rng: np.random.Generator) -> Shape | None:
    """A finding of the right size class with its box centre in its place; None when this throw misses."""
    low, high = EXTENT_RANGES[item.extent]
    long = float(rng.uniform(low, high))
    across = (-1 if item.side == "left" else 1) * float(rng.uniform(0.14, 0.6))
    down = (ZONES.index(item.zone) - 1) * 2 / 3 + float(rng.uniform(-0.25, 0.25))
    radius = long
    form = rng.bit_generator.random_raw()
    pixels = x.shape[0]
    for _ in range(4):
        # the same form at another scale
        shape = finding(item.kind, x - across, y - down, radius, np.random.default_rng(form), PIXEL / 2 * 64 / pixels)
        mask = shape.cover >= 0.5
        if not mask.any():
            return None
        box = _box(mask)
        measured = max(box.x2 - box.x1, box.y2 - box.y1) / pixels
        if low <= measured <= high:
            break
        radius *= long / measured
    else:
        return None
    middle, height = (box.x1 + box.x2) / pixels - 1, (box.y1 + box.y2) / pixels - 1
    side = SIDES[middle > 0]
    # two pixels of 64 between a centre and the border of its place, so that a place can be told by eye
    clear = abs(middle) > 2 * PIXEL and abs(height - (ZONES.index(item.zone) - 1) * 2 / 3) < 1 / 3 - 1.5 * PIXEL
    return shape if clear and side == item.side else None


def _box(mask: NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    x1, y1, x2, y2 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return Box(x1, y1, x2, y2, width, height)


def _blend(values: Grid, shape: Shape, rng: np.random.Generator) -> Grid:
    """Paint a finding over what lies there, brighter or darker than its surroundings, whichever has room."""
    ground = float((values * shape.cover).sum() / shape.cover.sum())
    contrast = float(rng.uniform(0.45, 0.6))
    if ground < 0.4:
        sign = 1
    elif ground > 0.6:
        sign = -1
    else:
        sign = int(rng.choice((-1, 1)))
    target = np.clip(ground + sign * contrast * shape.light, 0, 1)
    texture = rng.normal(0, 0.03, values.shape)
    # some of the ground shines through, as in a projection
    cover = shape.cover * 0.9
    return values * (1 - cover) + cover * (target + texture)


def _display(values: Grid, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random gamma, gain and offset, and inversion in half of the pictures."""
    values = np.clip(values, 0, 1) ** float(rng.uniform(0.8, 1.25))
    gain = float(rng.uniform(0.78, 1))
    values = values * gain + float(rng.uniform(0, 1 - gain))
    if rng.random() < 0.5:
        values = 1 - values
    return np.rint(255 * values).astype(np.uint8)
