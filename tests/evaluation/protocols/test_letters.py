"""Option letters: MedVH's released scorer with its faults, and the robust ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation import protocols
from osler.evaluation.protocols.option_letters import index_of, letters, named_letters

OPTIONS = ("Yes", "No", "Not a suitable question for the image.", "Pneumonia")
NAMES = ("medvh-official-letter", "medvh-robust-letter", "option-letter")


def choice(name, answer, options=OPTIONS):
    score = protocols.get(name).score(answer, options[0], options=options)
    assert score.value == float(score.choice == options[0])
    if not score.parsed:
        return "refusal" if score.refusal else None
    return letters(options)[options.index(score.choice)]


@pytest.mark.parametrize(
    ("answer", "official", "robust", "ours"),
    [
        ("B", "B", "B", "B"),
        ("b", None, "B", "B"),
        ("(B)", None, "B", "B"),
        (" B", None, "B", "B"),
        ("B: No", "B", "B", "B"),
        ("**B**", None, "B", "B"),
        ("'B'", None, "B", "B"),
        ("The answer is B.", None, "B", "B"),
        ("Answer: B", "A", "B", "B"),  # A of "Answer"
        ("The correct option is (d)", None, "D", "D"),
        ("I think C", None, "C", "C"),
        ("B\nB\nB", "B", "B", "B"),
        ("D, because of the consolidation", "D", "D", "D"),
        ("No", None, None, "B"),
        ("Yes, the heart is abnormal", None, None, "A"),
        ("B) No, there is none", "B", "B", "B"),
        ("B: Yes", "B", "B", None),  # letter and text contradict
        ("A or B", "A", None, None),
        ("The answer is A or B", None, None, None),
        ("Options B, C and D", None, None, None),
        ("A. Yes\nB. No", "A", None, None),
        ("Neither A nor B", None, None, None),
        ("not B", None, None, None),
        ("A is right", "A", "A", "A"),
        ("A large effusion is seen", "A", None, None),
        ("Answer: A large mass", "A", None, None),
        ("Based on the image", "B", None, None),
        ("C-spine", "C", None, None),
        ("Don't know", "D", None, None),
        ("Cannot tell", "C", "refusal", "refusal"),
        ("I cannot tell whether it is A", None, "refusal", "refusal"),
        ("B. I cannot say more.", "B", "B", "B"),
        ("E", None, None, None),
        ("", None, None, None),
    ],
)
def test_choices(answer, official, robust, ours):
    assert [choice(name, answer) for name in NAMES] == [official, robust, ours]


def test_letters_inside_the_text_of_an_option_are_none():
    options = ("Hepatitis B", "Vitamin C deficiency", "Cannot be determined")
    assert choice("option-letter", "Vitamin C deficiency", options) == "B"
    assert choice("option-letter", "A: hepatitis b", options) == "A"
    assert choice("option-letter", "Cannot be determined", options) == "C"
    assert choice("option-letter", "It cannot be determined whether it is hepatitis B", options) == "refusal"


def test_baselines_of_positions():
    """Of MedVH's data: always the last letter is right on three tasks; always A on 231 of 500 yes-or-no questions."""
    nota = [("Lung", "Heart", "Liver", "None of the above.")[-size:] for size in (2, 3, 4)]
    last = [
        protocols.get("medvh-official-letter").score(letters(options)[-1], options[-1], options=options).value
        for options in nota
    ]
    assert last == [1.0, 1.0, 1.0]
    yes_no = ("no", "yes")
    answers = [
        protocols.get("medvh-official-letter").score("A", reference, options=yes_no).value
        for reference in ["no"] * 231 + ["yes"] * 269
    ]
    assert sum(answers) / len(answers) == pytest.approx(0.462)


@pytest.mark.parametrize(
    ("reference", "index"),
    [
        ("No", 1),
        ("no", 1),
        ("B", 1),
        ("B: No", 1),
        ("b.", 1),
        ("D: pneumonia", 3),
        ("n: Nodule", None),
        ("Nodule", None),
    ],
)
def test_a_reference_is_text_or_letter(reference, index):
    assert index_of(reference, OPTIONS) == index
    for name in NAMES:
        # an item whose reference is no option is left out and counted, not wrong for every answer
        assert protocols.get(name).applies(answer_type=None, reference=reference, options=OPTIONS) == (
            index is not None
        )


def test_options_may_carry_their_letters():
    lettered = ("A: Yes", "B: No", "C. Perhaps")
    assert index_of("No", lettered) == 1
    assert choice("option-letter", "no", lettered) == "B"
    assert choice("medvh-robust-letter", "C", lettered) == "C"


@given(
    letter=st.sampled_from("ABCD"),
    form=st.sampled_from(["{}", "({})", "{}.", "{}:", "The answer is {}.", "[{}]", "**{}**"]),
)
def test_every_form_of_a_letter_is_read(letter, form):
    answer = form.format(letter)
    assert choice("medvh-robust-letter", answer) == choice("option-letter", answer) == letter


@given(text=st.text(max_size=60))
def test_bounds(text):
    for name in (*NAMES, "pmc-vqa-nearest-choice", "omnimedvqa-qa-score", "omnimedvqa-prefix-score"):
        score = protocols.get(name).score(text, "No", options=OPTIONS)
        assert score.value in (0.0, 1.0)
        assert score.choice in (None, *OPTIONS)
        assert score.parsed == (score.choice is not None)
    assert set(named_letters(text, OPTIONS)) <= set("ABCD")


@given(first=st.sampled_from("ABCD"), second=st.sampled_from("ABCD"))
def test_two_letters_are_no_answer(first, second):
    expected = first if first == second else None
    assert choice("option-letter", f"{first} or {second}") == expected
