from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from osler.errors import EvaluationError
from osler.evaluation.controls import (
    blank_image,
    majority_answers,
    noise_image,
    shuffle_images,
    without_placeholders,
)
from osler.evaluation.protocols.vqa_text import normalise
from osler.records import ImageRef, Record, Turn


def record(name, images, answer, *, kind="PRES", answer_type="CLOSED", subject=None):
    text = "<image>" * len(images) + " is it ?"
    return Record(
        id=name,
        images=tuple(ImageRef(path=path) for path in images),
        turns=(Turn(role="user", text=text), Turn(role="assistant", text=answer)),
        subject=subject,
        tags={"question_type": kind, "answer_type": answer_type},
    )


def test_blank_image_keeps_size_and_mean_grey_only():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 50, 3), dtype=np.uint8))
    blank = blank_image(noise)
    assert (blank.size, blank.mode) == ((50, 30), "RGB")
    assert len(set(blank.getdata())) == 1
    assert abs(np.asarray(blank).mean() - np.asarray(noise.convert("L")).mean()) <= 0.5
    assert blank_image(Image.new("L", (3, 4), 77)).getpixel((0, 0)) == (77, 77, 77)


RECORDS = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["yes", "no", "left"]), st.sampled_from("AB"), st.integers(0, 3)),
    min_size=1,
    max_size=25,
).map(
    lambda rows: [
        record(f"r{i}", [f"{image}.png"], answer, kind=kind, subject=f"s{(image + subject) % 4}")
        for i, (image, answer, kind, subject) in enumerate(rows)
    ]
)


def brute_force_fits(records, item, donor):
    """Definition written out, without the tables of the implementation."""
    if {i.path for i in item.images} & {i.path for i in donor.images} or item.subject == donor.subject:
        return False
    told = [
        normalise(r.answer)
        for r in records
        if r.images == donor.images and r.tags["question_type"] == item.tags["question_type"]
    ]
    return bool(told) and normalise(item.answer) not in told


@given(RECORDS, st.integers(0, 3))
@settings(max_examples=60)
def test_substitutes_fit_and_none_is_overlooked(records, seed):
    result = shuffle_images(records, seed=seed)
    holders = {}
    for r in records:
        holders[r.images] = min(holders.get(r.images, r), r, key=lambda r: r.id)
    for item in records:
        fitting = [h for h in holders.values() if brute_force_fits(records, item, h)]
        if item.id in result.donors:
            assert result.donors[item.id] in fitting
        else:
            assert not fitting
            assert item.id in result.without_partner
    assert len(result.donors) + len(result.without_partner) == len(records)


@given(RECORDS)
@settings(max_examples=30)
def test_substitutes_do_not_depend_on_order(records):
    mixed = records[:]
    random.Random(1).shuffle(mixed)
    assert shuffle_images(mixed).donors == shuffle_images(records).donors


def test_seed_changes_substitutes_and_multi_image_records_stay_whole():
    many = [record(f"r{i}", [f"{i}.png"], "yes" if i % 2 else "no", subject=f"s{i}") for i in range(30)]
    assert shuffle_images(many, seed=1).donors != shuffle_images(many, seed=2).donors
    pair = record("pair", ["x.png", "y.png"], "yes", subject="p")
    assert shuffle_images([pair, *many]).without_partner == ("pair",)
    other = record("other", ["u.png", "v.png"], "no", subject="q")
    assert shuffle_images([pair, other, *many]).donors["pair"] == other


def test_majority_by_type_with_fall_backs():
    training = [
        record("a", ["1"], "No"),
        record("b", ["1"], "no."),
        record("c", ["1"], "yes"),
        record("d", ["1"], "left lung", kind="POS", answer_type="OPEN"),
        record("e", ["1"], "axial", kind="PLANE", answer_type="OPEN"),
    ]
    table = majority_answers(training)
    assert table.trained_on == 5
    assert table.answer(record("x", ["2"], "?")) == ("no", False)
    assert table.answer(record("x", ["2"], "?", kind="POS", answer_type="OPEN")) == ("left lung", False)
    assert table.answer(record("x", ["2"], "?", kind="POS", answer_type="CLOSED")) == ("left lung", True)
    assert table.answer(record("x", ["2"], "?", kind="NEW", answer_type="OPEN")) == ("axial", True)  # tie: alphabetical
    assert table.answer(record("x", ["2"], "?", kind="NEW", answer_type="NEW")) == ("no", True)
    with pytest.raises(EvaluationError, match="never computed on the test"):
        majority_answers([])


def test_noise_keeps_mean_deviation_and_histogram_and_nothing_else():
    rng = np.random.default_rng(3)
    dark = np.zeros(
        (40, 60, 3), dtype=np.uint8
    )  # a radiology picture: mostly black, so clipped noise would be brighter
    dark[10:30, 20:40] = rng.integers(100, 255, (20, 20, 3))
    image = Image.fromarray(dark)
    noise = np.asarray(noise_image(image, key="a"))
    assert noise.shape == dark.shape
    assert sorted(map(tuple, noise.reshape(-1, 3))) == sorted(map(tuple, dark.reshape(-1, 3)))
    assert (noise.mean(), noise.std()) == pytest.approx((dark.mean(), dark.std()))
    assert abs(np.corrcoef(noise.ravel(), dark.ravel())[0, 1]) < 0.15
    assert noise_image(image, key="a").tobytes() == noise.tobytes()
    assert noise_image(image, key="b").tobytes() != noise.tobytes()
    assert noise_image(Image.new("L", (3, 4), 77), key="").getpixel((0, 0)) == (77, 77, 77)


def test_text_only_prompts_lose_placeholders_and_nothing_else():
    turns = (
        Turn(role="system", text="You see <image> tags."),
        Turn(role="user", text="<image>\n<image>\nWhich is <b>older</b>?"),
        Turn(role="assistant", text="<image>"),
        Turn(role="user", text="Return one!\n<image>"),
    )
    assert [turn.text for turn in without_placeholders(turns)] == [
        "You see <image> tags.", "Which is <b>older</b>?", "<image>", "Return one!",
    ]  # fmt: skip
