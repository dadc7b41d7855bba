"""Fingerprints of files and pictures, and groups of near duplicates.

Web-collected sets hold the same picture many times, recompressed or resized. Left alone, copies land in training and
test. `near_duplicate_groups` finds them so that a split can keep each group on one side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from osler.errors import ImageError
from osler.images.files import checked_path

if TYPE_CHECKING:
    from PIL.Image import Image

# 256 bits and a distance of 40 tell copies with changed contrast or sharpness from other pictures of the same kind; the
# usual 64 bits do not (measured on brain MR: docs/images.md).
HASH_SIZE = 16
MAX_DISTANCE = 40


def file_sha256(path: str | PathLike[str]) -> str:
    """SHA-256 of a file's bytes, hexadecimal, read in pieces.

    Raises:
        ImageError: when the file is absent or cannot be read.
    """
    found = checked_path(path)
    try:
        with found.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(found, f"cannot be read ({type(error).__name__})") from None


def perceptual_hash(image: Image, *, hash_size: int = HASH_SIZE) -> str:
    """DCT fingerprint of a picture (`imagehash.phash`): alike for copies that were resized or recompressed.

    Args:
        image: any mode and size.
        hash_size: side of the square of low frequencies; the hash has its square of bits.

    Returns:
        `hash_size ** 2 / 4` hexadecimal digits.
    """
    import imagehash

    return str(imagehash.phash(image, hash_size=hash_size))


def near_duplicate_groups(hashes: Sequence[str], max_distance: int = MAX_DISTANCE) -> list[list[int]]:
    """Groups of pictures that are near duplicates of each other, directly or through others (single linkage).

    Method: breadth-first search over the pictures not yet in a group. A picture leaves that set when it is reached and
    is compared once with what is left, so there are at most n (n - 1) / 2 comparisons, each one XOR and bit count of
    NumPy rows, and memory stays linear in n: no table of pairs is built.

    Args:
        hashes: hexadecimal, all of one length, from `perceptual_hash`.
        max_distance: largest Hamming distance, in bits, of neighbours in a group.

    Returns:
        Every index exactly once, singletons included; indices ascend in a group, groups by their first index.

    Raises:
        ValueError: when the hashes differ in length or are not hexadecimal, or the distance is negative.
    """
    if max_distance < 0:
        raise ValueError(f"max_distance is {max_distance}: want 0 or more bits")
    if not hashes:
        return []
    if len({len(text) for text in hashes}) != 1:
        raise ValueError("hashes differ in length: they were made with different hash sizes")
    digits = -(-len(hashes[0]) // 16) * 16  # whole 64-bit words
    table = np.frombuffer(b"".join(bytes.fromhex(text.zfill(digits)) for text in hashes), dtype=np.uint64)
    table = table.reshape(len(hashes), -1)

    left = np.arange(len(hashes))
    groups: list[list[int]] = []
    while left.size:
        group, queue, left = [int(left[0])], [int(left[0])], left[1:]
        while queue and left.size:
            near = _distances(table[left], table[queue.pop()]) <= max_distance
            reached = left[near].tolist()
            group += reached
            queue += reached
            left = left[~near]
        groups.append(sorted(group))
    return groups


def _distances(rows: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Hamming distances, in bits, of rows (n, words) uint64 to one row (words,)."""
    differing = rows ^ one
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(differing).sum(axis=1, dtype=np.int64)
    return np.unpackbits(differing.view(np.uint8), axis=1).sum(axis=1, dtype=np.int64)
