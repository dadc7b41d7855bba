"""The study's vision encoder: taught to see phantom pictures before the study, as CLIP is before LLaVA-Med.

A published encoder cannot be had at this size, so one is made: pictures of another seed than the study's, none with a
combination that the study holds out, and exact labels. Each token learns what lies in its part of the picture (kind of
finding, offset, extent), their mean which modality and body part it is. The encoder knows no words; joining what it
sees to language is what the runs of the study learn. It is the same for all of them and stays frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

PICTURES, STEPS, BATCH, LEARNING_RATE = 6000, 2400, 64, 3e-3
SEED = 1_000_003  # of the pictures: no study draws with it
EMPTY_WEIGHT = 0.15  # most parts of a picture hold nothing


class Labelled(NamedTuple):
    """Pictures with what is where; a picture is cut into G x G parts, one for each token.

    Args:
        pixels_PHW: grey values, 0 to 255.
        modality_P: index.
        organ_P: index.
        kind_PGG: 0 for nothing, else 1 + index of the kind of finding whose box centre is in the part.
        place_PGG3: its offset from the middle of the part (-1 to 1, x and y) and its extent in parts.
    """

    pixels_PHW: Tensor
    modality_P: Tensor
    organ_P: Tensor
    kind_PGG: Tensor
    place_PGG3: Tensor


def labelled_pictures(count: int, *, grid: int, pixels: int, seed: int = SEED) -> Labelled:
    """Draw pictures from the combinations that the study trains on.

    Args:
        count: P.
        grid: G.
        pixels: side of a picture.
        seed: of scenes and drawing.
    """
    from osler.sources.phantom_picture import draw
    from osler.sources.phantom_scene import KINDS, MODALITIES, ORGANS, plan

    scenes = plan("instruct", count, np.random.default_rng([seed, 0]))
    grey = np.zeros((count, pixels, pixels), dtype=np.uint8)
    kind = np.zeros((count, grid, grid), dtype=np.int64)
    place = np.zeros((count, grid, grid, 3), dtype=np.float32)
    part = pixels / grid
    for number, scene in enumerate(scenes):
        picture = draw(scene, np.random.default_rng([seed, 1, number]), pixels=pixels)
        grey[number] = picture.grey
        for finding, box in zip(scene.findings, picture.boxes, strict=True):
            x1, y1, x2, y2 = box.xyxy()
            x, y = (x1 + x2) / 2 / part, (y1 + y2) / 2 / part
            column, row = min(grid - 1, int(x)), min(grid - 1, int(y))
            kind[number, row, column] = 1 + KINDS.index(finding.kind)
            place[number, row, column] = (2 * (x % 1) - 1, 2 * (y % 1) - 1, max(x2 - x1, y2 - y1) / part)
    return Labelled(
        torch.from_numpy(grey),
        torch.tensor([MODALITIES.index(scene.modality) for scene in scenes]),
        torch.tensor([ORGANS.index(scene.organ) for scene in scenes]),
        torch.from_numpy(kind),
        torch.from_numpy(place),
    )


def teach(
    vision: Any,
    pictures: Labelled,
    normalise: Callable[[Tensor], Tensor],
    *,
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> None:
    """Train an encoder on labelled pictures, in place; it is left in evaluation mode with gathered statistics.

    Args:
        vision: a `GridEncoder`.
        pictures: to learn from.
        normalise: pixels in [0, 1], (B, 3, H, W), to what the encoder takes.
        steps: of AdamW, with a one-cycle learning rate.
        seed: of order, mirroring and inversion.
        progress: called with step and loss.
    """
    from osler.sources.phantom_scene import KINDS, MODALITIES, ORGANS

    generator = torch.Generator().manual_seed(seed)
    width = vision.config.hidden_size
    counts = (len(MODALITIES), len(ORGANS))
    whole, parts = nn.Linear(width, sum(counts)), nn.Linear(width, 1 + len(KINDS) + 3)
    weights = torch.ones(1 + len(KINDS))
    weights[0] = EMPTY_WEIGHT
    modules = nn.ModuleList([vision, whole, parts])
    optimiser = torch.optim.AdamW(modules.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    vision.to(memory_format=torch.channels_last)
    norms = [module for module in vision.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.Module.train(norm, True)  # the encoder's own `train` keeps stored statistics
    for step in range(steps):
        pixels, kind, place, rows = _batch(pictures, generator)
        with torch.autocast("cpu", torch.bfloat16):
            tokens = vision(normalise(pixels).contiguous(memory_format=torch.channels_last)).last_hidden_state
        tokens = tokens.float()
        about, within = whole(tokens.mean(1)), parts(tokens)
        guess, where = within[..., : 1 + len(KINDS)], within[..., 1 + len(KINDS) :]
        there = kind > 0
        loss = (
            F.cross_entropy(about[:, : counts[0]], pictures.modality_P[rows])
            + F.cross_entropy(about[:, counts[0] :], pictures.organ_P[rows])
            + 3 * F.cross_entropy(guess.flatten(0, 1), kind.flatten(), weight=weights)
            + 2 * (where - place).square().sum(-1)[there].mean()
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


def _batch(pictures: Labelled, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random pictures, some inverted, all perhaps mirrored, with their labels."""
    rows = torch.randint(len(pictures.pixels_PHW), (BATCH,), generator=generator)
    grey = pictures.pixels_PHW[rows].float() / 255
    kind, place = pictures.kind_PGG[rows], pictures.place_PGG3[rows]
    inverted = torch.rand(BATCH, 1, 1, generator=generator) < 0.5
    grey = torch.where(inverted, 1 - grey, grey)
    for axis, sign in ((2, (-1.0, 1.0, 1.0)), (1, (1.0, -1.0, 1.0))):
        if torch.rand((), generator=generator) < 0.5:
            grey, kind = grey.flip(axis), kind.flip(axis)
            place = place.flip(axis) * torch.tensor(sign)
    return grey[:, None].expand(-1, 3, -1, -1), kind.flatten(1), place.flatten(1, 2), rows
