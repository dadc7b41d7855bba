"""What the sample set's extractors yield: a picture with the facts that are known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from osler.boxes import Box
from osler.images.windows import choose_window
from osler.packages import PACKAGES

LONG_SIDE = 512


@dataclass(frozen=True)
class Picture:
    """One still of the sample set, before it is written.

    Args:
        key: file stem, unique in the set.
        pixels: uint8, height x width (grey) or height x width x 3 (RGB).
        package: name in `PACKAGES`.
        member: file inside the package.
        subject: name of the patient, volume, slide or near-duplicate group; the whole of it lies in one split.
        split: "train", "dev" or "test".
        facts: what is known, in words: `modality`, `organ`, `plane`, `side`, `tumour` ("yes" or "no"), `caption_note`.
        frame: frame or slice in the file, 0-based, if the file holds several.
        boxes: lesion boxes in pixels of `pixels`.
        notes: processing, for the provenance.
        licence: of this picture where it differs from the package's.
    """

    key: str
    pixels: np.ndarray
    package: str
    member: str
    subject: str
    split: str
    facts: Mapping[str, str]
    frame: int | None = None
    boxes: tuple[Box, ...] = ()
    notes: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    licence: str | None = None

    @property
    def stated_licence(self) -> str:
        """Licence of the picture as its publisher states it."""
        return self.licence or PACKAGES[self.package].licence


def windowed(values: np.ndarray, preset: str) -> tuple[np.ndarray, dict[str, str | int | float | bool | None]]:
    """Apply a named CT window.

    Args:
        values: in Hounsfield units.
        preset: name in `osler.images.windows.PRESETS`.

    Returns:
        uint8 pixels of the same shape, and the notes for the provenance.
    """
    window = choose_window(preset).window
    notes: dict[str, str | int | float | bool | None] = {
        "window": preset,
        "window_level": window.level,
        "window_width": window.width,
    }
    return window.apply(values), notes


def stretch(values: np.ndarray, low: float = 0.5, high: float = 99.5) -> np.ndarray:
    """Map the `low`..`high` percentiles to 0..255, clipped; for MR, whose intensities have no unit."""
    floor, ceiling = np.percentile(values, [low, high])
    scaled = (values.astype(np.float32) - floor) / max(float(ceiling - floor), 1e-6)
    return (np.clip(scaled, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def spread(items: list[Any], count: int) -> list[Any]:
    """At most `count` items, evenly spaced over the list, in order."""
    if len(items) <= count:
        return list(items)
    positions = np.linspace(0, len(items) - 1, count).round().astype(int)
    return [items[position] for position in positions]


Say = Callable[[str], None]
