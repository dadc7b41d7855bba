"""Pseudo-random numbers that depend on a problem alone: not on its neighbours, a global generator, or the device."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

Words = npt.NDArray[np.uint64]
_STEP = np.uint64(0x9E3779B97F4A7C15)


def content_seeds(*parts: Tensor) -> Words:
    """A seed (P) for each of P problems, hashed from the bits of its numbers.

    Args:
        parts: tensors (P, ...) of float32, float64 or int64, on the CPU.
    """
    seeds_P = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        flat_PK = part.reshape(len(part), -1).contiguous().numpy()
        bits_PK = flat_PK.view(np.uint32 if flat_PK.itemsize == 4 else np.uint64).astype(np.uint64)
        bits_PK ^= bits_PK >> np.uint64(32)  # a float64 of few digits has all its bits on top
        seeds_P = _mix(seeds_P + _STEP) + (bits_PK * _counter(bits_PK.shape[1])).sum(1, dtype=np.uint64)
    return seeds_P


def noise(seeds_P: Words, count: int) -> Words:
    """Uniform 64-bit words (P, count): SplitMix64 (Steele, Lea, Flood 2014), read at the positions of a counter."""
    with np.errstate(over="ignore"):
        return _mix(_mix(seeds_P + _STEP)[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _STEP)


def _counter(count: int) -> Words:
    """Fixed odd multipliers that look random."""
    return noise(np.zeros(1, dtype=np.uint64), count)[0] | np.uint64(1)


def _mix(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
