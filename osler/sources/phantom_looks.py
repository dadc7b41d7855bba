"""Phantom studies: what makes a picture look like an x-ray, a CT, an MRI or an ultrasound picture.

Grey values per tissue, sharpness of outlines, field of view, blur, shading and noise: counting noise in the x-ray,
fine correlated noise and streaks in CT, Rician noise and a bias field in MRI, speckle and a fan in ultrasound.
"""

from __future__ import annotations

from math import cos, pi, sin, tan

import numpy as np
from scipy.ndimage import gaussian_filter

from osler.sources.phantom_anatomy import Body
from osler.sources.phantom_scene import Modality
from osler.sources.phantom_shapes import PIXEL, Grid, ramp

# half the width of outlines in unit coordinates: a projection through a round body has no sharp border
EDGES: dict[Modality, float] = {"x-ray": 0.05, "CT": 0.02, "MRI": 0.025, "ultrasound": 0.04}
_VALUES: dict[str, dict[str, float]] = {
    "x-ray": {"air": 0.06, "fat": 0.36, "soft": 0.48, "dense": 0.6, "bone": 0.82, "fluid": 0.52, "lung": 0.22},
    "CT": {"air": 0.03, "fat": 0.3, "soft": 0.5, "dense": 0.6, "bone": 0.93, "fluid": 0.38, "lung": 0.12},
    "MRI T1": {"air": 0.04, "fat": 0.85, "soft": 0.5, "dense": 0.62, "bone": 0.12, "fluid": 0.22, "lung": 0.1},
    "MRI T2": {"air": 0.04, "fat": 0.6, "soft": 0.42, "dense": 0.3, "bone": 0.1, "fluid": 0.9, "lung": 0.12},
    "ultrasound": {"air": 0.2, "fat": 0.6, "soft": 0.42, "dense": 0.52, "bone": 0.8, "fluid": 0.15, "lung": 0.32},
}
_MARROW = {"x-ray": 0.7, "CT": 0.66, "MRI T1": 0.72, "MRI T2": 0.52, "ultrasound": 0.55}
_GAS = {"x-ray": 0.2, "CT": 0.05, "MRI T1": 0.06, "MRI T2": 0.06, "ultrasound": 0.75}


def view(modality: Modality, x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Field of view, in [0, 1]: a fan in ultrasound, a disc in most CT pictures, else the whole picture."""
    if modality == "ultrasound":
        depth, spread = float(rng.uniform(1.9, 2.3)), float(rng.uniform(0.5, 0.62))
        fan = np.maximum(np.abs(x) - (y + depth) * tan(spread), np.sqrt(x * x + (y + depth) ** 2) - depth - 0.97)
        top = depth - 0.95 - np.sqrt(x * x + (y + depth) ** 2)
        return ramp(np.maximum(fan, top), PIXEL / 2)
    if modality == "CT" and rng.random() < 0.7:
        return ramp(np.sqrt(x * x + y * y) - float(rng.uniform(1.0, 1.12)), PIXEL / 2)
    return np.ones_like(x)


def tissue(modality: Modality, part: Body, rng: np.random.Generator) -> Grid:
    """Noiseless grey values in [0, 1] of a body part; the contrast of every tissue varies a little."""
    name = modality if modality != "MRI" else str(rng.choice(("MRI T1", "MRI T2")))
    table = {**_VALUES[name], "marrow": _MARROW[name], "gas": _GAS[name]}
    table = {key: value + float(rng.uniform(-0.05, 0.05)) for key, value in table.items()}
    values = np.full_like(part.inside, max(0.0, table["air"]))
    for mask, kind in part.layers:
        values = values + mask * (table[kind] - values)
    return values


def acquire(modality: Modality, values: Grid, field: Grid, x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Blur, shading and noise of a modality, inside its field of view; blur and noise are in pixels of 64."""
    grain = x.shape[0] / 64
    if modality == "x-ray":
        values = gaussian_filter(values, 0.5 * grain) * _shading(x, y, rng, 0.15)
        doses = float(rng.uniform(140, 320))
        values = rng.poisson(np.clip(values, 0, 1) * doses) / doses
    elif modality == "CT":
        values = gaussian_filter(values, 0.4 * grain)
        noise = gaussian_filter(rng.normal(size=values.shape), 0.6 * grain)
        values = values + float(rng.uniform(0.025, 0.05)) * noise / noise.std() + _streaks(x, y, rng)
    elif modality == "MRI":
        values = gaussian_filter(values, 0.45 * grain) * _shading(x, y, rng, 0.35)
        sigma = float(rng.uniform(0.03, 0.055))
        real, imaginary = rng.normal(0, sigma, (2, *values.shape))
        values = np.sqrt((values + real) ** 2 + imaginary**2)
    else:
        values = gaussian_filter(values, (0.35 * grain, 0.6 * grain))
        values = values * (1 - float(rng.uniform(0.05, 0.25)) * (y + 1) / 2)
        shape = float(rng.uniform(14, 24))
        speckle = gaussian_filter(rng.gamma(shape, 1 / shape, values.shape), (0.3 * grain, 0.6 * grain))
        values = values * (1 + (speckle - 1) * 0.8)
    return np.clip(values, 0, 1) * field


def _shading(x: Grid, y: Grid, rng: np.random.Generator, strength: float) -> Grid:
    """A smooth factor around one: a tilted plane and a bowl."""
    a, b, c = rng.uniform(-strength, strength, 3)
    return 1 + a * x * 0.7 + b * y * 0.7 + c * (x * x + y * y - 0.7) * 0.5


def _streaks(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Faint straight waves in two directions, as from dense bone."""
    total = np.zeros_like(x)
    for _ in range(2):
        turn, pitch, phase = (float(value) for value in rng.uniform((0, 0.1, 0), (pi, 0.25, 2 * pi)))
        total += 0.012 * np.sin((x * cos(turn) + y * sin(turn)) * 2 * pi / pitch + phase)
    return total
