"""The study's vision encoders: taught what lies at each place, and where its edges are.

What a grounded model gets from a detector's data, made at this size: every token whose place lies in a finding, or
holds its centre, learns the finding's kind and the four edges of its box. Phantoms are of another seed than the study's
and none has a combination that the study holds out; smears are the study's training pictures, with all their cells. An
encoder knows no words and stays frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osler.study.abnormal_aware.grid import Data
from osler.study.abnormal_aware.vision_pictures import (
    GRID,
    PICTURES,
    PIXELS,
    SEED,
    Labelled,
    drawn_phantoms,
    labelled_smears,
)

WIDTH, STEM = 192, 24
STAGES = ((1, 3, 2, 3, 32), (2, 3, 2, 4, 64), (2, 3, 1, 4, 96))
STEPS = {"phantom": 5000, "bccd": 1500}
BATCH, LEARNING_RATE = 64, 3e-3
EMPTY_WEIGHT = 0.15
CALIBRATION_PICTURES = 256


def settings(data: Data) -> dict[str, Any]:
    """Everything that decides what an encoder is like."""
    shape = {"pixels": PIXELS, "grid": GRID, "width": WIDTH, "stem": STEM, "stages": STAGES}
    taught = {"steps": STEPS[data], "batch": BATCH, "learning_rate": LEARNING_RATE, "empty_weight": EMPTY_WEIGHT}
    return {**shape, **taught, **({"pictures": PICTURES, "seed": SEED} if data == "phantom" else {})}


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


def normalise(pixels_BCHW: Tensor) -> Tensor:
    """As the assembled model's image processor does it."""
    mean = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
    deviation = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
    return (pixels_BCHW - mean) / deviation


def teach(
    vision: Any,
    pictures: Labelled,
    *,
    steps: int,
    invert: bool,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> None:
    """Train the encoder, in place; it is left in evaluation mode with gathered statistics.

    Args:
        vision: from `make_encoder`.
        pictures: to learn from.
        steps: of AdamW, with a one-cycle learning rate.
        invert: show half of the pictures with light and dark exchanged.
        seed: of order, mirroring and inversion.
        progress: called with step and loss.
    """
    from osler.study.small_model import calibrate

    first = pictures.pixels_PCHW[:CALIBRATION_PICTURES].expand(-1, 3, -1, -1)
    calibrate(vision, normalise(first / 255))
    kinds = 1 + len(pictures.kinds)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(WIDTH, kinds + 4)
    optimiser = torch.optim.AdamW([*vision.parameters(), *head.parameters()], lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    vision.to(memory_format=torch.channels_last)
    norms = [module for module in vision.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.Module.train(norm, True)  # the encoder's own `train` keeps stored statistics
    weights = torch.ones(kinds)
    weights[0] = EMPTY_WEIGHT
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        pixels, kind, edges = _batch(pictures, generator, invert)
        with torch.autocast("cpu", torch.bfloat16):
            tokens = vision(normalise(pixels).contiguous(memory_format=torch.channels_last)).last_hidden_state
        said = head(tokens.float())
        there = kind > 0
        loss = (
            3 * F.cross_entropy(said[..., :kinds].flatten(0, 1), kind.flatten(), weight=weights)
            + 20 * (said[..., kinds:] - edges).abs().sum(-1)[there].mean()
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


def _batch(pictures: Labelled, generator: torch.Generator, invert: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Random pictures, all perhaps mirrored and half perhaps inverted, with their labels."""
    rows = torch.randint(len(pictures.pixels_PCHW), (BATCH,), generator=generator)
    pixels = pictures.pixels_PCHW[rows].float() / 255
    kind, edges = pictures.kind_PGG[rows], pictures.edges_PGG4[rows]
    if invert:
        inverted = torch.rand(BATCH, 1, 1, 1, generator=generator) < 0.5
        pixels = torch.where(inverted, 1 - pixels, pixels)
    for axis, low, high in ((3, 0, 2), (2, 1, 3)):
        if torch.rand((), generator=generator) < 0.5:
            pixels, kind, edges = pixels.flip(axis), kind.flip(axis - 1), edges.flip(axis - 1).clone()
            edges[..., low], edges[..., high] = 1 - edges[..., high], 1 - edges[..., low].clone()
    return pixels.expand(-1, 3, -1, -1), kind.flatten(1), edges.flatten(1, 2)


def encoder_weights(
    path: Path, data: Data, source: tuple[Path, Path], *, progress: Callable[[int, float], None] | None = None
) -> dict[str, Tensor]:
    """Weights of a taught encoder, from a file or taught now (minutes) and kept there.

    Args:
        path: of the safetensors file.
        data: which pictures it is for.
        source: record folder and image folder of the data set; phantoms are drawn.
        progress: called with step and loss.
    """
    import os

    from safetensors.torch import load_file, save_file

    if not path.is_file():
        vision = make_encoder()
        pictures = drawn_phantoms() if data == "phantom" else labelled_smears(*source)
        teach(vision, pictures, steps=STEPS[data], invert=data == "phantom", progress=progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({name: value.contiguous() for name, value in vision.state_dict().items()}, partial)
        os.replace(partial, path)
    return load_file(path)
