"""Pictures that the study's vision encoders are taught on, with what is where: drawn phantoms, or smears with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

PIXELS, GRID = 64, 8
PICTURES = 12_000
SEED = 1_000_003  # of the phantoms: no study draws with it
PADDING = (124, 116, 104)  # the assembled model's image processor pads to a square with this
CELLS = ("RBC", "Platelets", "WBC")  # where boxes overlap, the later and rarer class is learned


class Labelled(NamedTuple):
    """Pictures with what is where.

    Args:
        pixels_PCHW: values, 0 to 255, of one channel or three.
        kind_PGG: 0 for nothing, else 1 + index of the kind at that place.
        edges_PGG4: edges of its box as shares of the padded picture: left, top, right, bottom.
        kinds: their names.
    """

    pixels_PCHW: Tensor
    kind_PGG: Tensor
    edges_PGG4: Tensor
    kinds: tuple[str, ...]


def drawn_phantoms(count: int = PICTURES, *, seed: int = SEED) -> Labelled:
    """Draw pictures from the combinations that the study trains on."""
    from osler.sources.phantom_picture import draw
    from osler.sources.phantom_scene import KINDS, plan

    grey, kind, edges = _empty(count, 1)
    for number, scene in enumerate(plan("instruct", count, np.random.default_rng([seed, 0]))):
        picture = draw(scene, np.random.default_rng([seed, 1, number]), pixels=PIXELS)
        grey[number] = picture.grey
        for finding, box in zip(scene.findings, picture.boxes, strict=True):
            shares = tuple(edge / PIXELS for edge in box.xyxy())
            _mark(kind[number], edges[number], shares, 1 + KINDS.index(finding.kind))
    return Labelled(torch.from_numpy(grey), torch.from_numpy(kind), torch.from_numpy(edges), tuple(KINDS))


def labelled_smears(records: Path, images: Path) -> Labelled:
    """Read the blood smears that the study trains on, all their cells marked.

    Args:
        records: folder with `train.jsonl` and `dev.jsonl` of `osler data get pascal-voc`.
        images: folder of the pictures.
    """
    from PIL import Image, ImageOps

    from osler.images import load_image
    from osler.record_files import read_records

    wanted = [record for part in ("train", "dev") for record in read_records(records / f"{part}.jsonl")]
    colours, kind, edges = _empty(len(wanted), 3)
    for number, record in enumerate(wanted):
        picture = load_image(images / record.images[0].path).image.convert("RGB")
        width, height = picture.size
        side = max(width, height)
        left, top = (side - width) // 2, (side - height) // 2
        square = ImageOps.expand(picture, (left, top, side - width - left, side - height - top), fill=PADDING)
        colours[number] = np.asarray(square.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        for region in sorted(record.regions, key=lambda region: CELLS.index(str(region.label))):
            shares = tuple(np.add(region.box.xyxy(), (left, top, left, top)) / side)
            _mark(kind[number], edges[number], shares, 1 + CELLS.index(str(region.label)))
    return Labelled(torch.from_numpy(colours), torch.from_numpy(kind), torch.from_numpy(edges), CELLS)


def _empty(count: int, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.zeros((count, channels, PIXELS, PIXELS), dtype=np.uint8),
        np.zeros((count, GRID, GRID), dtype=np.int64),
        np.zeros((count, GRID, GRID, 4), dtype=np.float32),
    )


def _mark(kind_GG: np.ndarray, edges_GG4: np.ndarray, box: Sequence[float], number: int) -> None:
    """Label the places whose middle lies in a box, or that hold its centre."""
    x1, y1, x2, y2 = box
    middle = (np.arange(GRID) + 0.5) / GRID
    inside = ((middle >= y1) & (middle < y2))[:, None] & ((middle >= x1) & (middle < x2))
    inside[min(GRID - 1, int((y1 + y2) / 2 * GRID)), min(GRID - 1, int((x1 + x2) / 2 * GRID))] = True
    kind_GG[inside] = number
    edges_GG4[inside] = box
