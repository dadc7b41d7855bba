from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation.judge.forms import FORMS, Case, figure_context, marks_in

CASE = Case(question="where ?", reference="left lobe", candidate="right lobe", context="Figure Caption: CT")


@pytest.mark.parametrize(
    ("said", "marks"),
    [
        ("8 4", (8, 4)),
        ("8, 4\nThe first answer is better: 10 points.", (8, 4)),
        ("7.5 10\n", (7.5, 10)),
        ("8/10 4/10", (8, 4)),
        ("8/10 and 4/10", (8, 4)),
        ("Here are my scores:\n\n9 1", (9, 1)),
        ("Assistant 1: 8\nAssistant 2: 4", (8, 4)),
        ("**Answer 1**: 3, **Answer 2**: 10", (3, 10)),
        ("Answer 2 gets 4 marks. Answer 1 gets 8 marks.", (8, 4)),
        ("<think>maybe 2 2, or 3 3</think>\n6 7", (6, 7)),
        ("", None),
        ("8", None),
        ("both are good", None),
        ("On a scale of 1-10 I give:\n8 4", (8, 4)),
        ("0 11", None),
        ("80 40", None),
        ("I cannot judge this.", None),
    ],
)
def test_marks(said, marks):
    assert marks_in(said) == marks


@given(st.text())
def test_marks_of_any_text_are_within_the_scale(text):
    found = marks_in(text)
    assert found is None or all(1 <= mark <= 10 for mark in found)


@given(st.integers(1, 10), st.integers(1, 10), st.sampled_from([" ", ", ", "/10 ", "\t", " and "]), st.text())
def test_what_follows_the_first_line_changes_nothing(first, second, between, rest):
    said = f"{first}{between}{second}"
    plain = rest.replace("</think>", "").replace("nswer", "").replace("ssistant", "").casefold()
    assert marks_in(f"{said}\n{plain}") == (first, second)


def test_our_form_changes_places_and_nothing_else():
    form = FORMS["llm-judge"]
    (one,), (other,) = form.ask(CASE, False), form.ask(CASE, True)
    assert form.orders == 2
    text, swapped = one["content"], other["content"]
    assert text.index("[Answer 1]\nleft lobe") < text.index("[Answer 2]\nright lobe")
    assert swapped.index("[Answer 1]\nright lobe") < swapped.index("[Answer 2]\nleft lobe")
    assert sorted(text.split()) == sorted(swapped.split())
    assert "Figure Caption: CT\nleft lobe" in text.split("[Question]")[0]


def test_the_released_form_has_its_blocks_and_its_order():
    form = FORMS["llava-med-judge"]
    system, user = form.ask(CASE, False)
    assert system["role"] == "system"
    assert "helpful and precise assistant for checking the quality" in system["content"]
    text = user["content"]
    blocks = ["[Context]", "[Question]", "[Assistant 1]", "[Assistant 2]", "[System]"]
    places = [text.index(block) for block in blocks]
    assert places == sorted(places)
    assert "[Assistant 1]\nleft lobe" in text
    assert "[Assistant 2]\nright lobe" in text
    assert form.orders == 1


def test_the_context_of_a_figure():
    assert figure_context("Figure 1", "CT of the chest.") == "Figure Caption:\nFigure 1: CT of the chest."
    mentions = [{"tokens": "see Figure 1", "entities": []}, "it's enlarged"]
    text = figure_context("Figure 1", "CT of the chest.", mentions)
    assert text.endswith("\n\nFigure Context:\n" + repr(mentions))
