"""Protocols that know an item's options: golden values of the released scorer, and what the strict one refuses."""

from __future__ import annotations

from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.errors import EvaluationError
from osler.evaluation import protocols
from osler.evaluation.protocols.candidate_whole_word import named_options
from osler.evaluation.protocols.logra_med_nearest_option import nearest_option
from osler.word_spans import _outermost

SCANS = ("Chest X-ray", "CT", "MRI", "Ultrasound")
NAMES = ("candidate-whole-word", "logra-med-nearest-option")
WORDS = ["chest", "x-ray", "CT", "mri", "Ultrasound", "no,", "yes", "not", "'CT'", "the"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


def score(name, answer, reference, options=SCANS):
    return protocols.get(name).score(answer, reference, options=options)


@pytest.mark.parametrize(
    ("answer", "ratios", "expected"),
    [
        ("The image is a chest X-ray.", (0.5263, 0.0690, 0, 0.1622), "Chest X-ray"),
        ("MRI scan", (0.2105, 0, 0.5455, 0.2222), "MRI"),
        ("B", (0, 0, 0, 0), None),
        ("I cannot tell", (0.1667, 0, 0.1250, 0.0870), "Chest X-ray"),
    ],
)
def test_nearest_option_golden(answer, ratios, expected):
    found = [SequenceMatcher(None, option, answer).ratio() for option in SCANS]
    assert found == pytest.approx(ratios, abs=5e-5)  # the table is of the released code: this difflib agrees with it
    assert nearest_option(answer, SCANS) == expected
    for reference in SCANS:
        result = score("logra-med-nearest-option", answer, reference)
        assert result.value == float(reference == expected)
        assert (result.choice, result.parsed, result.refusal) == (expected, expected is not None, False)


def test_the_option_is_the_first_argument():
    # the other way round "Ultrasound" has .1739 here and would win
    assert nearest_option("I cannot tell", ("CT", "Ultrasound", "MRI")) == "MRI"


def test_nearest_option_ties_case_and_long_answers():
    assert nearest_option("ab", ("ax", "bx")) == "ax"
    assert nearest_option("ab", ("bx", "ax")) == "bx"
    assert nearest_option("mri", ("CT", "MRI")) is None  # case-sensitive: nothing in common
    assert nearest_option("mri", ("a MRI", "radiograph")) == "radiograph"
    # from 200 characters on difflib drops frequent characters: the right answer is no longer found
    assert nearest_option("It is MRI. " * 18, SCANS) == "MRI"
    assert nearest_option("It is MRI. " * 19, SCANS) is None


@pytest.mark.parametrize(
    ("answer", "choice", "refusal"),
    [
        ("CT", "CT", False),
        ("'CT'", "CT", False),
        ("['CT']", "CT", False),
        ("**CT**.", "CT", False),
        ("Answer: ct: it shows bone", "CT", False),
        ("The image is a Chest X-ray.", "Chest X-ray", False),
        ("CT or MRI", None, False),
        ("['Chest X-ray', 'CT', 'MRI', 'Ultrasound']", None, False),
        ("B", None, False),
        ("PET-CTA", None, False),
        ("octagon", None, False),
        ("I cannot tell", None, True),
        ("Sorry, I cannot say whether this is CT.", None, True),
        ("CT. I cannot say more.", "CT", False),
        ("", None, False),
    ],
)
def test_candidate_whole_word(answer, choice, refusal):
    for reference in SCANS:
        result = score("candidate-whole-word", answer, reference)
        assert result.value == float(reference == choice)
        assert (result.choice, result.parsed, result.refusal) == (choice, choice is not None, refusal)


def test_an_option_inside_a_longer_one_is_not_named():
    options = ("Pneumonia", "Viral pneumonia", "Normal")
    assert named_options("It is viral pneumonia.", options) == ("Viral pneumonia",)
    assert named_options("pneumonia", options) == ("Pneumonia",)
    assert named_options("Pneumonia, perhaps viral pneumonia", options) == ("Pneumonia", "Viral pneumonia")
    assert named_options("abnormal", options) == ()
    assert score(
        "candidate-whole-word", "Cannot be determined.", "Cannot be determined", ("Cannot be determined", "No")
    )
    declining = ("Cannot be determined", "No")
    assert score("candidate-whole-word", "Cannot be determined.", declining[0], declining).value == 1.0


SPANS = st.tuples(st.integers(0, 12), st.integers(1, 5)).map(lambda pair: (pair[0], pair[0] + pair[1], "x"))


@given(spans=st.lists(SPANS, max_size=12))
def test_outermost_spans_are_those_in_no_longer_one(spans):
    expected = [
        span
        for span in sorted(spans, key=lambda span: span[:2])
        if not any(low <= span[0] and span[1] <= high and high - low > span[1] - span[0] for low, high, _ in spans)
    ]
    assert _outermost(spans) == expected


@pytest.mark.parametrize("name", NAMES)
@given(answer=TEXTS | st.text(max_size=40), reference=st.sampled_from(SCANS))
def test_bounds_and_choice(name, answer, reference):
    result = score(name, answer, reference)
    assert result.value in (0.0, 1.0)
    assert result.choice in (None, *SCANS)
    assert result.value == float(result.choice == reference)
    assert result.parsed == (result.choice is not None)


@given(answer=TEXTS)
def test_nearest_option_is_the_first_of_the_highest(answer):
    ratios = [SequenceMatcher(None, option, answer).ratio() for option in SCANS]
    expected = SCANS[ratios.index(max(ratios))] if max(ratios) > 0 else None
    assert nearest_option(answer, SCANS) == expected


@given(answer=TEXTS)
def test_case_does_not_matter_to_the_strict_one(answer):
    assert score("candidate-whole-word", answer.upper(), "CT") == score("candidate-whole-word", answer.lower(), "CT")


@pytest.mark.parametrize("name", NAMES)
def test_blank_answers_blank_references_and_absent_options(name):
    result = score(name, " ", "CT")
    assert (result.value, result.parsed) == (0.0, False)
    with pytest.raises(EvaluationError, match="blank"):
        score(name, "CT", " ")
    with pytest.raises(EvaluationError, match="needs the item's options"):
        score(name, "CT", "CT", ())
    assert not protocols.get(name).applies(answer_type="CLOSED", reference="CT")
    assert protocols.get(name).applies(answer_type=None, reference="CT", options=SCANS)
