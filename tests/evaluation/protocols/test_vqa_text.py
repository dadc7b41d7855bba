from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation.protocols.vqa_text import normalise, normalise_released

BOTH = [normalise, normalise_released]


@pytest.mark.parametrize("function", BOTH)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Left Lung", "left lung"),
        ("Two lesions.", "2 lesions"),
        ("none", "0"),
        ("Ten", "10"),
        ("100,978", "100978"),
        ("3.5 cm.", "3.5 cm"),
        ("an x-ray", "x ray"),
        ("dont", "don't"),
        ("its well", "its well"),
        ("girl's", "girl's"),
        ("10:30", "10:30"),
        ("(CT) scan, axial", "ct scan axial"),
        ("left/right", "left right"),
        ("  many \t spaces \n", "many spaces"),
    ],
)
def test_published_steps(function, text, expected):
    assert function(text) == expected


def test_where_the_released_code_differs():
    assert normalise("12,000 left-sided") == "12000 left sided"
    assert normalise_released("12,000 left-sided") == "12000 leftsided"
    assert normalise("left- or right-sided") == "left or right sided"
    assert normalise_released("left- or right-sided") == "left or rightsided"
    assert normalise("yes.no") == "yes no"
    assert normalise_released("yes.no") == "yesno"
    assert normalise_released("x." * 40).count(".") == 8
    assert normalise("x." * 40).count(".") == 0
    assert normalise("A") == "a"
    assert normalise_released("A") == ""


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60) | st.text(max_size=30))
def test_normalise_is_idempotent(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.strip()))
def test_normalise_never_empties_a_text(text):
    assert normalise(text)
