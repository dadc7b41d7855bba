"""Phantom studies: four body parts as layers of tissue, with the round and long normal structures that distract.

A layer is a soft mask and the tissue it holds; later layers cover earlier ones. Positions, sizes and the side of
unpaired organs vary from picture to picture.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from osler.sources.phantom_scene import Organ
from osler.sources.phantom_shapes import Grid, block, ellipse, ramp, segment

Tissue = Literal["fat", "soft", "dense", "bone", "fluid", "lung", "gas", "marrow"]


class Layer(NamedTuple):
    """Coverage in [0, 1] and what covers."""

    mask: Grid
    tissue: Tissue


class Body(NamedTuple):
    """A body part.

    Args:
        inside: coverage of the whole body, for placing findings.
        layers: from the outside inwards.
    """

    inside: Grid
    layers: tuple[Layer, ...]


def body(organ: Organ, x: Grid, y: Grid, rng: np.random.Generator, edge: float) -> Body:
    """Layers of a body part in its own coordinates (already turned, scaled and shifted by the caller).

    Args:
        organ: body part.
        x: body coordinates, shape (pixels, pixels).
        y: likewise.
        rng: decides proportions and the side of unpaired organs.
        edge: half the width of outlines; projection pictures have soft ones.
    """
    return {"chest": _chest, "head": _head, "abdomen": _abdomen, "knee": _knee}[organ](x, y, rng, edge)


def _about(rng: np.random.Generator, value: float, spread: float = 0.1) -> float:
    return value * float(rng.uniform(1 - spread, 1 + spread))


def _chest(x: Grid, y: Grid, rng: np.random.Generator, edge: float) -> Body:
    flip = float(rng.choice((-1, 1)))
    width, height = _about(rng, 0.9, 0.05), _about(rng, 0.95, 0.05)
    # a superellipse: broad shoulders
    inside = ramp(((np.abs(x / width) ** 3 + np.abs(y / height) ** 3) ** (1 / 3) - 1) * width, edge)
    inner = ramp(((np.abs(x / width) ** 3 + np.abs(y / height) ** 3) ** (1 / 3) - 0.93) * width, edge)
    layers = [Layer(inside, "fat"), Layer(inner, "soft")]
    for side in (-1, 1):
        radii = (_about(rng, 0.32), _about(rng, 0.66, 0.08))
        layers.append(Layer(ellipse(x, y, (side * 0.43, _about(rng, -0.04, 1)), radii, edge), "lung"))
    centre = (flip * _about(rng, 0.12, 0.4), _about(rng, 0.25, 0.2))
    layers.append(Layer(ellipse(x, y, centre, (_about(rng, 0.26), _about(rng, 0.27)), edge), "dense"))
    layers.append(Layer(block(x, y, (0, 0), (_about(rng, 0.075), 0.9), edge) * inside, "bone"))
    pitch, bow = _about(rng, 0.27), _about(rng, 0.5, 0.3)
    phase = (y + bow * x * x) / pitch + float(rng.uniform(0, 1))
    ribs = ramp(np.abs(phase - np.round(phase)) * pitch - 0.025, max(edge, 0.02)) * inner * (np.abs(x) > 0.1)
    layers.append(Layer(0.35 * ribs, "bone"))
    for side in (-1, 1):  # collar bones
        start, end = (side * 0.08, -0.66), (side * 0.75, _about(rng, -0.78, 0.06))
        layers.append(Layer(0.8 * segment(x, y, start, end, 0.035, edge) * inside, "bone"))
    return Body(inside, tuple(layers))


def _head(x: Grid, y: Grid, rng: np.random.Generator, edge: float) -> Body:
    width, height = _about(rng, 0.76, 0.06), _about(rng, 0.92, 0.04)
    table = _about(rng, 0.07, 0.2)
    inside = ellipse(x, y, (0, 0), (width, height), edge)
    skull = ellipse(x, y, (0, 0), (width - 0.05, height - 0.05), edge)
    brain = ellipse(x, y, (0, 0), (width - 0.05 - table, height - 0.05 - table), edge)
    layers = [Layer(inside, "fat"), Layer(skull, "bone"), Layer(brain, "soft")]
    white = ellipse(x, y, (0, 0), (width - 0.24, height - 0.26), 3 * edge)
    layers.append(Layer(0.5 * white, "dense"))
    layers.append(Layer(0.6 * block(x, y, (0, 0), (0.012, height - 0.2), edge) * brain, "dense"))
    gap, long = _about(rng, 0.1, 0.2), _about(rng, 0.24, 0.2)
    for side in (-1, 1):  # lateral ventricles
        bent = x - side * (gap + 0.35 * (y + 0.05) ** 2)
        layers.append(Layer(ellipse(bent, y, (0, -0.05), (_about(rng, 0.055, 0.25), long), edge), "fluid"))
    layers.append(Layer(ellipse(x, y, (0, _about(rng, 0.55)), (0.12, 0.07), edge), "fluid"))
    return Body(inside, tuple(layers))


def _abdomen(x: Grid, y: Grid, rng: np.random.Generator, edge: float) -> Body:
    flip = float(rng.choice((-1, 1)))
    width, height = _about(rng, 0.95, 0.04), _about(rng, 0.8, 0.05)
    rim = _about(rng, 0.1, 0.4)
    inside = ellipse(x, y, (0, 0), (width, height), edge)
    inner = ellipse(x, y, (0, 0), (width - rim, height - rim), edge)
    layers = [Layer(inside, "fat"), Layer(inner, "soft")]
    liver = ellipse(x, y, (flip * 0.42, -0.12), (_about(rng, 0.42), _about(rng, 0.42)), edge) * inner
    layers.append(Layer(liver, "dense"))
    layers.append(Layer(ellipse(x, y, (-flip * 0.55, -0.2), (0.17, _about(rng, 0.22)), edge), "dense"))
    for side in (-1, 1):  # kidneys
        centre = (side * _about(rng, 0.42), _about(rng, 0.3))
        layers.append(Layer(ellipse(x, y, centre, (_about(rng, 0.14), _about(rng, 0.19)), edge) * inner, "dense"))
        layers.append(Layer(0.6 * ellipse(x, y, centre, (0.05, 0.09), edge) * inner, "fat"))
    layers.append(Layer(ellipse(x, y, (0, _about(rng, 0.36)), (0.15, 0.14), edge), "bone"))
    layers.append(Layer(ellipse(x, y, (0, 0.62), (0.05, 0.12), edge) * inner, "bone"))
    layers.append(Layer(ellipse(x, y, (-flip * 0.06, 0.14), (0.06, 0.06), edge), "fluid"))
    for _ in range(int(rng.integers(1, 4))):  # gas in the bowel
        centre = (float(rng.uniform(-0.45, 0.45)), float(rng.uniform(-0.5, -0.1)))
        layers.append(Layer(0.8 * ellipse(x, y, centre, (_about(rng, 0.13, 0.4), 0.07), 2 * edge) * inner, "gas"))
    return Body(inside, tuple(layers))


def _knee(x: Grid, y: Grid, rng: np.random.Generator, edge: float) -> Body:
    flip = float(rng.choice((-1, 1)))
    half = _about(rng, 0.68, 0.05) + 0.06 * np.abs(y)
    inside = ramp(np.abs(x) - half, edge)
    muscle = ramp(np.abs(x) - half + 0.09, edge)
    layers = [Layer(inside, "fat"), Layer(muscle, "soft")]
    joint = _about(rng, 0.04, 0.5)
    shaft, flare = _about(rng, 0.22), _about(rng, 0.26)
    near = np.clip(1 - np.abs(np.abs(y) - 0.16) / 0.4, 0, 1)
    outline = np.abs(x) - shaft - flare * near * near
    for sign in (-1, 1):  # thigh bone above, shin bone below
        mask = ramp(np.maximum(outline, 0.06 + joint - sign * y), edge)
        layers.append(Layer(mask, "bone"))
        core = ramp(np.maximum(outline + 0.06, 0.12 + joint - sign * y), edge)
        layers.append(Layer(core, "marrow"))
    layers.append(Layer(block(x, y, (flip * (shaft + 0.2), 0.7), (0.05, 0.42), edge), "bone"))
    layers.append(Layer(0.7 * ellipse(x, y, (0, 0), (shaft + 0.7 * flare, joint + 0.03), edge), "fluid"))
    layers.append(Layer(0.4 * ellipse(x, y, (-flip * 0.1, _about(rng, -0.3)), (0.17, 0.19), 2 * edge), "dense"))
    return Body(inside, tuple(layers))
