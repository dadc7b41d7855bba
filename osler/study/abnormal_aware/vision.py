"""The study's vision encoder: taught on other phantom pictures what lies at each place, and where its edges are.

What a grounded model gets from a detector's data, made at this size: every token whose place lies in a finding, or
holds its centre, learns the finding's kind and the four edges of its box. Pictures are of another seed than the study's
and none has a combination that the study holds out. The encoder knows no words and stays frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

PIXELS, GRID, WIDTH, STEM = 64, 8, 192, 24
STAGES = ((1, 3, 2, 3, 32), (2, 3, 2, 4, 64), (2, 3, 1, 4, 96))
PICTURES, STEPS, BATCH, LEARNING_RATE = 12_000, 5000, 64, 3e-3
SEED = 1_000_003  # of the pictures: no study draws with it
EMPTY_WEIGHT = 0.15
CALIBRATION_PICTURES = 256


class Labelled(NamedTuple):
    """Pictures with what is where.

    Args:
        pixels_PHW: grey values, 0 to 255.
        kind_PGG: 0 for nothing, else 1 + index of the kind of finding at that place.
        edges_PGG4: edges of its box as shares of the picture: left, top, right, bottom.
    """

    pixels_PHW: Tensor
    kind_PGG: Tensor
    edges_PGG4: Tensor


def settings() -> dict[str, Any]:
    """Everything that decides what the encoder is like."""
    names = ("PIXELS", "GRID", "WIDTH", "STEM", "STAGES", "PICTURES", "STEPS", "BATCH", "LEARNING_RATE", "SEED")
    return {name: globals()[name] for name in (*names, "EMPTY_WEIGHT")}


def make_encoder() -> Any:
    """The encoder with random weights."""
    from osler.models.grid_encoder import GridEncoder, GridEncoderConfig
    from osler.study.small_model import initialise_convolutions

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = GridEncoderConfig(stages=STAGES, stem_channels=STEM, hidden_size=WIDTH, image_size=PIXELS)
        vision = GridEncoder(config)
        initialise_convolutions(vision)
    return vision


def labelled_pictures(count: int = PICTURES, *, seed: int = SEED) -> Labelled:
    """Draw pictures from the combinations that the study trains on."""
    from osler.sources.phantom_picture import draw
    from osler.sources.phantom_scene import KINDS, plan

    scenes = plan("instruct", count, np.random.default_rng([seed, 0]))
    grey = np.zeros((count, PIXELS, PIXELS), dtype=np.uint8)
    kind = np.zeros((count, GRID, GRID), dtype=np.int64)
    edges = np.zeros((count, GRID, GRID, 4), dtype=np.float32)
    part = PIXELS / GRID
    middle = (np.arange(GRID) + 0.5) * part
    for number, scene in enumerate(scenes):
        picture = draw(scene, np.random.default_rng([seed, 1, number]), pixels=PIXELS)
        grey[number] = picture.grey
        for finding, box in zip(scene.findings, picture.boxes, strict=True):
            x1, y1, x2, y2 = box.xyxy()
            inside = ((middle >= y1) & (middle < y2))[:, None] & ((middle >= x1) & (middle < x2))
            inside[min(GRID - 1, int((y1 + y2) / 2 / part)), min(GRID - 1, int((x1 + x2) / 2 / part))] = True
            kind[number][inside] = 1 + KINDS.index(finding.kind)
            edges[number][inside] = np.divide((x1, y1, x2, y2), PIXELS)
    return Labelled(torch.from_numpy(grey), torch.from_numpy(kind), torch.from_numpy(edges))


def normalise(pixels_BCHW: Tensor) -> Tensor:
    """As the assembled model's image processor does it."""
    mean = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
    deviation = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
    return (pixels_BCHW - mean) / deviation


def teach(
    vision: Any,
    pictures: Labelled,
    *,
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> None:
    """Train the encoder, in place; it is left in evaluation mode with gathered statistics.

    Args:
        vision: from `make_encoder`.
        pictures: to learn from.
        steps: of AdamW, with a one-cycle learning rate.
        seed: of order, mirroring and inversion.
        progress: called with step and loss.
    """
    from osler.sources.phantom_scene import KINDS
    from osler.study.small_model import calibrate

    first = pictures.pixels_PHW[:CALIBRATION_PICTURES, None].expand(-1, 3, -1, -1)
    calibrate(vision, normalise(first / 255))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(WIDTH, 1 + len(KINDS) + 4)
    optimiser = torch.optim.AdamW([*vision.parameters(), *head.parameters()], lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    vision.to(memory_format=torch.channels_last)
    norms = [module for module in vision.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.Module.train(norm, True)  # the encoder's own `train` keeps stored statistics
    weights = torch.ones(1 + len(KINDS))
    weights[0] = EMPTY_WEIGHT
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        pixels, kind, edges = _batch(pictures, generator)
        with torch.autocast("cpu", torch.bfloat16):
            tokens = vision(normalise(pixels).contiguous(memory_format=torch.channels_last)).last_hidden_state
        said = head(tokens.float())
        there = kind > 0
        loss = (
            3 * F.cross_entropy(said[..., : 1 + len(KINDS)].flatten(0, 1), kind.flatten(), weight=weights)
            + 20 * (said[..., 1 + len(KINDS) :] - edges).abs().sum(-1)[there].mean()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if progress:
            progress(step + 1, float(loss.detach()))
    for norm in norms:
        norm.eval()
    vision.to(memory_format=torch.contiguous_format).eval()


def _batch(pictures: Labelled, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Random pictures, some inverted, all perhaps mirrored, with their labels."""
    rows = torch.randint(len(pictures.pixels_PHW), (BATCH,), generator=generator)
    grey = pictures.pixels_PHW[rows].float() / 255
    kind, edges = pictures.kind_PGG[rows], pictures.edges_PGG4[rows]
    inverted = torch.rand(BATCH, 1, 1, generator=generator) < 0.5
    grey = torch.where(inverted, 1 - grey, grey)
    for axis, low, high in ((2, 0, 2), (1, 1, 3)):
        if torch.rand((), generator=generator) < 0.5:
            grey, kind, edges = grey.flip(axis), kind.flip(axis), edges.flip(axis).clone()
            edges[..., low], edges[..., high] = 1 - edges[..., high], 1 - edges[..., low].clone()
    return grey[:, None].expand(-1, 3, -1, -1), kind.flatten(1), edges.flatten(1, 2)


def encoder_weights(path: Path, *, progress: Callable[[int, float], None] | None = None) -> dict[str, Tensor]:
    """Weights of the taught encoder, from a file or taught now (some ten minutes) and kept there.

    Args:
        path: of the safetensors file.
        progress: called with step and loss.
    """
    import os

    from safetensors.torch import load_file, save_file

    if not path.is_file():
        vision = make_encoder()
        teach(vision, labelled_pictures(), progress=progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({name: value.contiguous() for name, value in vision.state_dict().items()}, partial)
        os.replace(partial, path)
    return load_file(path)
