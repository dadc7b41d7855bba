"""Sentences end where readers end them."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.sources.pmc.sentences import sentence_spans

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? Four", 4),
        ("A mass of 2.5 cm was seen in Fig. 3A. It grew.", 2),
        ("Smith et al. Reported it, e.g. In this case.", 1),
        ("See Dr. J. Smith vs. Others.", 1),
        ('He said "No." Then he left.', 2),
        ("(Fig. 1A, C.) Next.", 2),
        ("Shown in A and B. Next.", 2),
        ("vitamin and I. Then.", 2),
        ("", 0),
        ("   ", 0),
    ],
)
def test_examples(text: str, count: int) -> None:
    assert len(sentences(text)) == count


@PATIENT
@given(st.text("ab AI1.?!()\"' \n", max_size=80))
def test_nothing_is_lost_and_order_is_kept(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join("".join(text[start:end] for start, end in spans).split()) == "".join(text.split())
    assert all(start < end for start, end in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))


@pytest.mark.parametrize("text", ["A." * 200_000, "x" * 400_000, "Fig. A " * 60_000, "a. B " * 60_000])
def test_a_hostile_text_takes_linear_time(text: str) -> None:
    began = time.perf_counter()
    sentence_spans(text)
    assert time.perf_counter() - began < 5
