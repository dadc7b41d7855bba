"""Released ways to turn an answer into an option: PMC-VQA, OmniMedVQA, LLaVA-Med."""

from __future__ import annotations

from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.errors import EvaluationError
from osler.evaluation import protocols
from osler.evaluation.protocols.omnimedvqa_prefix_score import continuation, least_loss, prefix
from osler.evaluation.protocols.pmc_vqa_nearest_choice import nearest_choice

SCANS = ("Chest X-ray", "CT", "MRI", "Ultrasound")
TEXTS = st.text(st.sampled_from("ABCDIMRTX: aeot-"), min_size=1, max_size=12)


def score(name, answer, reference, options=SCANS):
    return protocols.get(name).score(answer, reference, options=options)


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("The image is a chest X-ray.", "Chest X-ray"),
        ("MRI scan", "MRI"),
        ("B", None),
        ("I cannot tell", "Chest X-ray"),
    ],
)
def test_omnimedvqa_golden(answer, choice):
    for reference in SCANS:
        found = score("omnimedvqa-qa-score", answer, reference)
        assert (found.value, found.choice) == (float(reference == choice), choice)
        assert found == score("logra-med-nearest-option", answer, reference)


@given(answer=TEXTS)
def test_without_case_it_is_that_of_lower_case(answer):
    found = score("omnimedvqa-qa-caseless", answer.upper(), "MRI")
    assert found == score("omnimedvqa-qa-caseless", answer.lower(), "MRI")
    lower = score("omnimedvqa-qa-score", answer.lower(), "mri", tuple(option.lower() for option in SCANS))
    assert (found.value, found.parsed) == (lower.value, lower.parsed)
    assert found.choice in (None, *SCANS)


def test_pmc_vqa_takes_the_shortest_choice_that_holds_the_letter():
    options = ("Brain", "Left kidney", "Bowel and liver", "CT")
    assert (
        score("pmc-vqa-nearest-choice", "B", "Brain", options).value == 1.0
    )  # "A:Brain" is shorter than "B:Left kidney"
    assert score("pmc-vqa-nearest-choice", "B", "Left kidney", options).value == 0.0
    assert score("pmc-vqa-nearest-choice", "The answer is C", "CT", options).value == 1.0  # not "C:Bowel and liver"
    assert not score("pmc-vqa-nearest-choice", "It is the brain.", "Brain", options).parsed  # only the full stop counts


def reference_nearest(answer, options):
    """PMC-VQA's matching as described, with difflib itself: the greatest ratio, the first wins, none at 0."""
    best, highest = None, 0.0
    for number, option in enumerate(options):
        ratio = SequenceMatcher(None, f"{'ABCD'[number]}:{option}", answer[-1]).ratio()
        if ratio > highest:
            best, highest = number, ratio
    return best


@given(
    answer=TEXTS,
    options=st.lists(st.text(st.sampled_from("ABCDIMRTaeot"), min_size=1, max_size=9), min_size=2, max_size=4),
)
def test_pmc_vqa_is_difflib(answer, options):
    assert nearest_choice(answer, tuple(options)) == reference_nearest(answer, options)


def test_prefix_score():
    assert prefix("Which organ?") + continuation("Lung") == "Question: Which organ? The answer is Lung."
    assert least_loss([2.0, 0.5, 0.5, 3.0], SCANS) == "CT"
    assert score("omnimedvqa-prefix-score", "CT", "CT").value == 1.0
    assert not score("omnimedvqa-prefix-score", "ct", "CT").parsed
    with pytest.raises(EvaluationError, match="2 losses for 4 options"):
        least_loss([1.0, 2.0], SCANS)
    with pytest.raises(EvaluationError, match="'MRI' is nan"):
        least_loss([1.0, 2.0, float("nan"), 1.0], SCANS)


@given(losses=st.lists(st.floats(0.01, 50), min_size=4, max_size=4))
def test_prefix_score_is_the_released_softmax(losses):
    import numpy as np

    inverse = 1 / np.array(losses)
    assert inverse[SCANS.index(least_loss(losses, SCANS))] == inverse.max()


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("right lower lobe", "right lower lobe"),
        ("in the lobe of the right lung", "right lung"),
        ("lung", "left lung"),  # a tie of one half: the first
        ("nothing of the kind", "left lung"),  # no word in common: the first candidate
        ("I cannot tell", "left lung"),
        ("left lung and right lower lobe", "left lung"),  # covered wholly, and the first of two
    ],
)
def test_llava_med_candidates(answer, choice):
    options = ("left lung", "right lower lobe", "right lung")
    for reference in options:
        found = score("llava-med-open-candidate", answer, reference, options)
        assert (found.value, found.choice) == (float(reference == choice), choice)
