"""What a written response must hold, and must not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from osler import box_formats
from osler.instruct.abnormality import abnormality_records
from osler.instruct.checks import problems, word_limit
from tests.instruct.test_abnormality import pictures, region

CODEC = box_formats.get("norm1000_xyxy")
BOX = "<box>(100,100),(400,300)</box>"
REGIONS = [region(100, 80, 400, 240, "polyp")]
GOOD = f"An abnormality is detected. It lies at {BOX}. Its red, raised surface is that of a polyp."


def test_a_good_text_passes() -> None:
    assert problems(GOOD, REGIONS, CODEC) == []
    assert problems(f"{BOX} Polyp {BOX}", REGIONS, CODEC) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  ", "is empty"),
        (GOOD.replace("polyp", "growth"), "does not name 'polyp'"),
        (GOOD.replace("polyp", "polyposis"), "does not name 'polyp'"),
        (GOOD.replace(BOX, "the left"), "is not in it"),
        (GOOD.replace("(400,300)", "(401,300)"), "is not in it"),
        (GOOD + " See <box>(1,1),(9,9)</box>.", "a box that was not given"),
        (GOOD + " See [1, 1, 9, 9].", "a box that was not given"),
        (GOOD + " It measures 12.5 mm.", "numbers that were not given: 12.5"),
        (GOOD + " <image>", "holds <image>"),
        (GOOD + " word" * 200, "words; 120 are allowed"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    assert any(reason in problem for problem in problems(text, REGIONS, CODEC))


def test_synonyms_and_labels_with_digits() -> None:
    regions = [region(100, 80, 400, 240, "COVID-19")]
    assert problems(f"At {BOX}: covid-19.", regions, CODEC) == []
    assert problems(f"At {BOX}: viral pneumonia.", regions, CODEC, synonyms={"COVID-19": ["viral pneumonia"]}) == []
    assert problems(f"At {BOX}: covid-19 of 2020.", regions, CODEC) != []


def test_every_region_counts() -> None:
    two = [*REGIONS, region(500, 400, 600, 480, "ulcer")]
    found = problems(GOOD, two, CODEC)
    assert len(found) == 2
    assert (word_limit(1), word_limit(3), word_limit(0)) == (120, 240, 120)


@settings(max_examples=40, deadline=None)
@given(pictures())
def test_the_template_passes_its_own_checks(record) -> None:
    for name in box_formats.names():
        (made,) = abnormality_records([record], box_format=name)
        if len(made.regions) <= 10:  # above that the template's count is itself a number
            assert problems(made.answer, made.regions, box_formats.get(name), max_words=10_000) == []
