"""Intervals over training seeds and test images at once.

A score of a training method varies with the seed of the run and with the images that happened to be tested. Every run
is tested on the same images, so the two are crossed, not nested: each resample draws seeds with replacement and, once
for all of them, images with replacement, with all their items (the pigeonhole bootstrap, Owen 2007, arXiv 0712.1111).
With a handful of seeds the interval is rough: three seeds have ten different resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class SeedInterval(NamedTuple):
    """A mean over seeds and items with its bootstrap interval.

    Args:
        mean: over seeds, then items.
        low: lower end.
        high: upper end.
        seeds: number of runs.
        clusters: number of images.
    """

    mean: float
    low: float
    high: float
    seeds: int
    clusters: int


def seed_interval(
    values_SI: npt.ArrayLike,
    clusters_I: Sequence[object],
    *,
    level: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> SeedInterval:
    """Mean of S runs on the same I items, with an interval over seeds and clusters of items.

    Args:
        values_SI: score of each item in each run; for a paired comparison, the differences of two methods, run by run.
        clusters_I: image of each item.
        level: of the interval.
        resamples: bootstrap draws.
        seed: of the draws.

    Raises:
        ValueError: when shapes do not fit or there is nothing to average.
    """
    values = np.asarray(values_SI, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(clusters_I) or not values.size:
        raise ValueError(f"want (seeds, items) values for {len(clusters_I)} items, got shape {values.shape}")
    names: dict[object, int] = {}
    index = np.array([names.setdefault(cluster, len(names)) for cluster in clusters_I])
    sums = np.zeros((values.shape[0], len(names)))
    np.add.at(sums.T, index, values.T)
    sizes = np.bincount(index, minlength=len(names)).astype(np.float64)
    means = _resampled(sums, sizes, resamples=resamples, seed=seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return SeedInterval(float(values.mean()), float(low), float(high), values.shape[0], len(names))


def _resampled(sums_SC: Array, sizes_C: Array, *, resamples: int, seed: int) -> Array:
    """Means of the resamples (R)."""
    S, C = sums_SC.shape
    random = np.random.default_rng(seed)
    seeds_RS = random.multinomial(S, np.full(S, 1 / S), size=resamples)
    images_RC = random.multinomial(C, np.full(C, 1 / C), size=resamples)
    total = np.einsum("rs,sc,rc->r", seeds_RS, sums_SC, images_RC, optimize=True)
    return np.asarray(total / (S * (images_RC @ sizes_C)))
