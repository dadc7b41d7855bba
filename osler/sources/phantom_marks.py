"""Phantom studies: what a reader has to look past: vessels, leads, letters and scale bars.

Vessels are thin, long and faint and bend, unlike a scar, which is short, straight and strong.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

import numpy as np

from osler.boxes import Box
from osler.sources.phantom_shapes import PIXEL, Grid, ellipse, ramp, segment

# 3 x 5 dots, one string a row
_GLYPHS = (
    ("111", "101", "111", "101", "101"),  # A
    ("110", "101", "110", "101", "110"),  # B
    ("100", "100", "100", "100", "111"),  # L
    ("110", "101", "110", "101", "101"),  # R
    ("010", "110", "010", "010", "111"),  # 1
    ("111", "001", "111", "100", "111"),  # 2
)


def vessels(values: Grid, inside: Grid, x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Bent thin lines, and round cross-sections, both fainter than any finding."""
    for _ in range(int(rng.integers(1, 4))):
        turn = float(rng.uniform(0, 2 * pi))
        along, across = x * cos(turn) + y * sin(turn), y * cos(turn) - x * sin(turn)
        offset, bend = (float(value) for value in rng.uniform((-0.6, -0.5), (0.6, 0.5)))
        line = ramp(np.abs(across - offset - bend * along * along) - 0.3 * PIXEL, PIXEL / 2)
        values = values + float(rng.choice((-1, 1))) * float(rng.uniform(0.06, 0.12)) * line * inside
    for _ in range(int(rng.integers(0, 4))):
        centre = (float(rng.uniform(-0.6, 0.6)), float(rng.uniform(-0.8, 0.8)))
        radius = float(rng.uniform(1.2, 4)) * PIXEL
        spot = ellipse(x, y, centre, (radius, radius), 1.2 * PIXEL)
        values = values + float(rng.choice((-1, 1))) * float(rng.uniform(0.06, 0.12)) * spot * inside
    return values


def burn_in(values: Grid, keep_clear: Sequence[Box], x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """A letter in a corner, a scale bar at an edge and a lead, each in some pictures, never over a finding."""
    pixels = x.shape[0]
    free = np.ones_like(values)
    for box in keep_clear:
        x1, y1, x2, y2 = (int(value) for value in box.xyxy())
        free[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = 0
    marks = np.zeros_like(values)
    if rng.random() < 0.5:
        marks = np.maximum(marks, _letter(pixels, rng))
    if rng.random() < 0.35:
        edge, start = float(rng.choice((-0.95, 0.95))), float(rng.uniform(-0.7, 0.1))
        marks = np.maximum(marks, segment(x, y, (edge, start), (edge, start + 0.5), 0.3 * PIXEL, PIXEL / 2))
    if rng.random() < 0.3:
        marks = np.maximum(marks, _lead(x, y, rng))
    ink = 1.0 if rng.random() < 0.7 else 0.0
    cover = np.where(free > 0, marks, 0) * 0.9
    return values * (1 - cover) + ink * cover


def _letter(pixels: int, rng: np.random.Generator) -> Grid:
    dot = max(1, pixels // 64)
    rows = _GLYPHS[int(rng.integers(len(_GLYPHS)))]
    glyph = np.kron([[float(digit) for digit in row] for row in rows], np.ones((dot, dot)))
    height, width = glyph.shape
    margin = int(rng.integers(2, 5)) * dot
    top = margin if rng.random() < 0.5 else pixels - margin - height
    left = margin if rng.random() < 0.5 else pixels - margin - width
    marks = np.zeros((pixels, pixels))
    marks[top : top + height, left : left + width] = glyph
    return marks


def _lead(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """A wire from an edge of the picture with two bends."""
    start = (float(rng.choice((-1, 1))), float(rng.uniform(-1, 1)))
    bend = (0.55 * start[0] + float(rng.uniform(-0.2, 0.2)), float(rng.uniform(-1, 1)))
    end = (bend[0] + float(rng.uniform(-0.4, 0.4)), 1.0 if bend[1] > 0 else -1.0)
    first = segment(x, y, start, bend, 0.25 * PIXEL, PIXEL / 2)
    return np.maximum(first, segment(x, y, bend, end, 0.25 * PIXEL, PIXEL / 2))
