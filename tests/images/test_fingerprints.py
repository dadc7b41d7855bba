"""Near-duplicate groups against a brute-force graph search; hashes against the copies they must recognise."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from osler.errors import ImageError
from osler.images import file_sha256, near_duplicate_groups, perceptual_hash


def brute_force(hashes: list[str], limit: int) -> list[list[int]]:
    bits = [int(text, 16) for text in hashes]
    label = list(range(len(hashes)))
    for _ in hashes:  # repeat until labels settle: the smallest index of each component
        for a in range(len(hashes)):
            for b in range(len(hashes)):
                if (bits[a] ^ bits[b]).bit_count() <= limit:
                    label[a] = label[b] = min(label[a], label[b])
    return [[i for i in range(len(hashes)) if label[i] == g] for g in sorted(set(label))]


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**12 - 1), max_size=25), st.integers(0, 5))
def test_groups_equal_brute_force(numbers, limit):
    hashes = [f"{number:064x}" for number in numbers]
    assert near_duplicate_groups(hashes, limit) == brute_force(hashes, limit)


@pytest.mark.parametrize("digits", [4, 16, 20, 64])
def test_any_hash_length(digits):
    rng = np.random.default_rng(0)
    hashes = [rng.bytes(digits // 2).hex() for _ in range(20)]
    near = f"{int(hashes[3], 16) ^ 1:0{digits}x}"
    groups = near_duplicate_groups([*hashes, near], 1)
    assert any({3, 20} <= set(group) for group in groups)
    assert sorted(index for group in groups for index in group) == list(range(21))


def test_refuses_mixed_lengths_and_negative_distance():
    assert near_duplicate_groups([]) == []
    with pytest.raises(ValueError, match="length"):
        near_duplicate_groups(["ab", "abcd"])
    with pytest.raises(ValueError, match="max_distance"):
        near_duplicate_groups(["ab"], -1)


def test_copies_are_near_and_different_pictures_far(shared_data):
    files = sorted((shared_data / "vqa_rad" / "images").glob("*.jpg"))[:40]
    hashes, copies = [], []
    for file in files:
        with Image.open(file) as image:
            image = image.convert("L")
            hashes.append(perceptual_hash(image))
            buffer = io.BytesIO()
            smaller = image.resize((image.width // 2, image.height // 2))
            smaller.point(lambda value: min(255, value * 1.5)).save(buffer, "JPEG", quality=50)  # brighter, too
            copies.append(perceptual_hash(Image.open(buffer)))
    groups = near_duplicate_groups(hashes + copies)
    assert sorted(groups) == [[n, n + len(files)] for n in range(len(files))]


def test_file_sha256(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"pixels" * 100_000)
    assert file_sha256(file) == hashlib.sha256(b"pixels" * 100_000).hexdigest()
    with pytest.raises(ImageError, match="no such file"):
        file_sha256(tmp_path / "none")
