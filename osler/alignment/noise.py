"""Pseudo-random numbers that depend on a problem alone: not on its neighbours, a global generator, or the device."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
from torch import Tensor

Words = npt.NDArray[np.uint64]
_STEP = np.uint64(0x9E3779B97F4A7C15)


def content_seeds(*parts_P: Tensor) -> Words:
    """A seed (P) for each problem, hashed from its numbers."""
    seeds = np.zeros(len(parts_P[0]), dtype=np.uint64)
    for part in parts_P:
        for p, numbers in enumerate(part.numpy()):
            seeds[p] = zlib.crc32(np.ascontiguousarray(numbers), int(seeds[p]))
    return seeds


def noise(seeds_P: Words, shape: tuple[int, ...]) -> Words:
    """Uniform 64-bit words (P, *shape).

    SplitMix64 (Steele, Lea, Flood 2014) read at the positions of a counter.
    """
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        words = _mix(_mix(seeds_P + _STEP)[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _STEP)
    return words.reshape(len(seeds_P), *shape)


def _mix(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
