"""Phantom studies: soft-edged shapes on a grid of unit coordinates, and the six kinds of finding made of them.

Coordinates run from -1 to 1 over the picture, x to the right and y downwards; a mask holds coverage in [0, 1]. Edges
are linear ramps and roots, so that a picture hardly depends on the machine's exp and sin.
"""

from __future__ import annotations

from math import cos, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from osler.sources.phantom_scene import Kind

Grid = NDArray[np.float64]
PIXEL = 2 / 64  # drawing is designed for 64 pixels: a width of 1.5 * PIXEL is 1.5 pixels there


class Shape(NamedTuple):
    """A drawn finding.

    Args:
        cover: where the finding is, in [0, 1].
        light: contrast in [-1, 1] within it, as a multiple of the finding's contrast.
    """

    cover: Grid
    light: Grid


def ramp(distance: Grid, edge: float) -> Grid:
    """Coverage of a shape from the signed distance to its outline (negative inside), 0.5 on the outline."""
    return np.clip(0.5 - distance / (2 * edge), 0, 1)


def ellipse(x: Grid, y: Grid, centre: tuple[float, float], radii: tuple[float, float], edge: float) -> Grid:
    """Soft ellipse; the distance is exact on the outline only, which is where it matters."""
    a, b = radii
    return ramp((np.sqrt(((x - centre[0]) / a) ** 2 + ((y - centre[1]) / b) ** 2) - 1) * min(a, b), edge)


def block(x: Grid, y: Grid, centre: tuple[float, float], half: tuple[float, float], edge: float) -> Grid:
    """Soft upright rectangle."""
    return ramp(np.maximum(np.abs(x - centre[0]) - half[0], np.abs(y - centre[1]) - half[1]), edge)


def segment(x: Grid, y: Grid, start: tuple[float, float], end: tuple[float, float], width: float, edge: float) -> Grid:
    """Soft straight line with round ends; `width` is half its thickness."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return ramp(np.sqrt((x - start[0] - along * dx) ** 2 + (y - start[1] - along * dy) ** 2) - width, edge)


def finding(kind: Kind, x: Grid, y: Grid, radius: float, rng: np.random.Generator, edge: float) -> Shape:
    """One finding around the origin.

    Args:
        kind: what it looks like: a nodule is a full disc, a cyst a ring around a lumen of opposite contrast, a
            calcification a cluster of dots, a mass a core with spikes, a scar a straight band, an infarct a wedge.
        x: coordinates relative to the centre.
        y: likewise.
        radius: about half the long side, in unit coordinates; a caller who needs a given box measures and scales.
        rng: decides the form.
        edge: half the width of the ramp at outlines.
    """
    turn = float(rng.uniform(0, 2 * pi))
    distance = np.sqrt(x * x + y * y)
    if kind == "nodule":
        squeeze = rng.uniform(0.85, 1)
        along, across = x * cos(turn) + y * sin(turn), y * cos(turn) - x * sin(turn)
        cover = ellipse(along, across, (0, 0), (radius, radius * squeeze), edge)
        return Shape(cover, 1 - 0.25 * np.clip(distance / radius, 0, 1))
    if kind == "cyst":
        wall = min(0.36 * radius, 1.5 * PIXEL)
        cover = ramp(distance - radius, edge)
        inner = ramp(distance - (radius - wall), edge)
        return Shape(cover, 1 - 1.45 * inner)
    if kind == "calcification":
        cover = _dots(x, y, radius, rng, edge)
        return Shape(cover, np.full_like(cover, 1.25))
    if kind == "mass":
        cover = ramp(distance - 0.5 * radius, edge)
        spikes = int(rng.integers(5, 8))
        for number in range(spikes):
            angle = turn + 2 * pi * (number + float(rng.uniform(-0.2, 0.2))) / spikes
            length = radius * float(rng.uniform(0.85, 1))
            tip = (length * cos(angle), length * sin(angle))
            cover = np.maximum(cover, segment(x, y, (0, 0), tip, 0.5 * PIXEL + 0.03 * radius, edge))
        return Shape(cover, np.ones_like(cover))
    if kind == "scar":
        half = radius / max(abs(cos(turn)), abs(sin(turn)))  # its box, not the band, has the wanted size
        end = (half * cos(turn), half * sin(turn))
        cover = segment(x, y, (-end[0], -end[1]), end, 0.75 * PIXEL + 0.04 * radius, edge)
        return Shape(cover, np.ones_like(cover))
    return _wedge(x, y, radius, turn, edge)


def _dots(x: Grid, y: Grid, radius: float, rng: np.random.Generator, edge: float) -> Grid:
    """A cluster of dots that keep two pixels apart, the outermost on the rim so that the cluster has its size."""
    size = 0.75 * PIXEL
    wanted = 3 + round(0.9 * radius / PIXEL)
    centres: list[tuple[float, float]] = []
    turn = float(rng.uniform(0, 2 * pi))
    for number in range(3):
        angle = turn + 2 * pi * (number + float(rng.uniform(-0.25, 0.25))) / 3
        centres.append(((radius - size) * cos(angle), (radius - size) * sin(angle)))
    for _ in range(60):
        if len(centres) == wanted:
            break
        a, b = (float(value) for value in rng.uniform(-radius, radius, 2))
        apart = min((a - c) ** 2 + (b - d) ** 2 for c, d in centres)
        if a * a + b * b < (radius - size) ** 2 and apart > (2.6 * PIXEL) ** 2:
            centres.append((a, b))
    nearest = np.min([(x - a) ** 2 + (y - b) ** 2 for a, b in centres], axis=0)
    return ramp(np.sqrt(nearest) - size, edge)


def _wedge(x: Grid, y: Grid, radius: float, turn: float, edge: float) -> Shape:
    """A filled triangle: the largest signed distance to its three sides."""
    sides = [x * cos(turn + 2 * pi * k / 3) + y * sin(turn + 2 * pi * k / 3) - 0.55 * radius for k in range(3)]
    cover = ramp(np.maximum.reduce(sides), edge)
    return Shape(cover, np.ones_like(cover))
