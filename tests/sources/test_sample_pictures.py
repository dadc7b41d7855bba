"""Parts of the sample set that need no download: boxes, orientation, near-duplicates, texts."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.boxes import Box
from osler.sources.sample_brain import duplicate_groups, thumbnail
from osler.sources.sample_mammograms import without_marker
from osler.sources.sample_pictures import Picture, spread, stretch
from osler.sources.sample_text import MODALITIES, applicable, ask, caption, position
from osler.sources.sample_volumes import _from_nrrd


@given(st.integers(0, 50), st.integers(1, 20))
def test_spread_is_ordered_without_repeats_and_keeps_the_ends(size: int, count: int) -> None:
    chosen = spread(list(range(size)), count)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(size, count)
    if size > count > 1:
        assert (chosen[0], chosen[-1]) == (0, size - 1)


def test_stretch_maps_percentiles_and_survives_a_flat_picture() -> None:
    values = np.arange(1000).reshape(20, 50)
    assert (stretch(values).min(), stretch(values).max()) == (0, 255)
    assert stretch(np.full((3, 3), 7)).tolist() == [[0] * 3] * 3


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0, 0, 10, 10), "upper left part"),
        ((45, 45, 55, 55), "centre"),
        ((90, 40, 100, 60), "right side"),
        ((40, 90, 60, 100), "bottom"),
    ],
)
def test_position_in_words(box: tuple[float, float, float, float], words: str) -> None:
    assert position(Box(*box, 100, 100)) == words


def test_volumes_are_turned_so_that_the_patients_right_is_at_the_left() -> None:
    """One marked voxel at the patient's left, back and top, in two storage orders."""
    for step_y, row in ((2.0, 3), (-2.0, 0)):  # the array's y index grows backward, or forward
        stored = np.zeros((5, 4, 3), dtype=np.int16)  # columns, rows, slices
        stored[4, row, 2] = 9
        header = {
            "space": "left-posterior-superior",
            "space directions": [[1.0, 0, 0], [0, step_y, 0], [0, 0, 3.0]],
            "space origin": [10.0, 0.0, 0.0],
        }
        volume = _from_nrrd("lung9", stored, stored > 0, header, "x.nrrd")
        assert np.argwhere(volume.values).tolist() == [[2, 3, 4]], "top slice, posterior row, column of the left side"
        assert np.array_equal(volume.mask, volume.values > 0)
        assert volume.spacing == (3.0, 2.0, 1.0)
        assert volume.centre_x == 12.0


def heads(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(count, 8, 8))
    return np.kron(coarse, np.ones((1, 4, 4))).astype(np.float32)


def test_mirrored_turned_and_brightened_copies_are_one_group() -> None:
    plain = heads(5)
    copies = [plain[0][:, ::-1], plain[1][::-1], plain[2][::-1, ::-1] * 1.7 + 20, plain[0] + heads(6)[5] * 0.2]
    groups = duplicate_groups(np.concatenate([plain, np.stack(copies)]), threshold=0.85)
    assert groups == [[0, 5, 8], [1, 6], [2, 7], [3], [4]]


def test_groups_follow_chains() -> None:
    a, b = heads(2)
    steps = np.stack([a * np.cos(t) + b * np.sin(t) for t in (0.0, 0.45, 0.9)])
    first, last = (step / np.linalg.norm(step) for step in (steps[0], steps[2]))
    assert float((first * last).sum()) < 0.85, "the ends alone are no duplicates"
    assert duplicate_groups(steps, threshold=0.85) == [[0, 1, 2]]


def test_thumbnails_ignore_margins() -> None:
    rng = np.random.default_rng(1)
    head = rng.integers(60, 255, (64, 64), dtype=np.uint8)
    padded = np.pad(head, ((10, 30), (5, 50)))
    assert np.array_equal(thumbnail(head), thumbnail(padded))
    assert thumbnail(np.zeros((9, 9), dtype=np.uint8)).shape == (32, 32)


def test_the_film_marker_goes_and_the_breast_stays() -> None:
    film = np.zeros((200, 200), dtype=np.uint8)
    film[40:160, :80] = 150
    film[10:25, 150:190] = 255
    cleaned = without_marker(film)
    assert cleaned[:30, 140:].max() == 0
    assert np.array_equal(cleaned[40:160, :80], film[40:160, :80])


def picture(**facts: str) -> Picture:
    return Picture("k", np.zeros((9, 9), np.uint8), "pycerr", "m", "s", "train", facts)


def test_questions_and_paraphrases_fit_the_facts() -> None:
    rng = random.Random(0)
    shown = picture(modality="CT", organ="lung", plane="axial", side="left", tumour_ct="no", reformat="yes")
    kinds = applicable(shown)
    assert set(kinds) == {"modality", "modality_check", "organ", "plane", "side", "tumour_ct"}
    answers = {kind: ask(shown, kind, rng).answer for kind in kinds}
    assert answers == {
        "modality": "CT",
        "modality_check": "yes",
        "organ": "lung",
        "plane": "axial",
        "side": "left",
        "tumour_ct": "no",
    }
    for _ in range(20):
        check = ask(shown, "modality_check", rng, wrong=True, present=("CT", "MRI"))
        assert check.answer == "no"
        assert "magnetic resonance" in check.question
        assert "computed tomography" in check.extended


@pytest.mark.parametrize("modality", [*MODALITIES, "radiograph", "bone scan", "fundus photograph"])
def test_captions_are_sentences_with_the_right_article(modality: str) -> None:
    rng = random.Random(3)
    for facts in ({}, {"organ": "eye"}, {"organ": "lung", "plane": "axial", "tumour_ct": "yes"}):
        for _ in range(12):
            text, longer = caption(picture(modality=modality, **facts), rng)
            assert text.endswith(".")
            assert longer.startswith("The picture is a")
            for word in ("a CT", "a radiograph", "an MR", "an ultrasound", "an axial", "a mammogram", "a bone scan"):
                article, noun = word.split(" ", 1)
                wrong = f"{'a' if article == 'an' else 'an'} {noun}"
                assert f" {wrong}" not in text
