"""`closed-whole-word`: a strict score for every closed item, so that its denominator is that of the released test."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.vqa_text import normalise
from osler.evaluation.protocols.yes_no import is_yes_no
from osler.evaluation.protocols.yes_no import score as yes_no_score


def score(answer: str, reference: str) -> Score:
    """`yes-no` where the reference is yes or no; otherwise the reference's words must stand in the answer in a row.

    Whole words: "right" is not found in "upright". The other choices of a question are not known to the protocol, so
    an answer that names two of them ("left and right") is right for both.
    """
    if is_yes_no(reference):
        return yes_no_score(answer, reference)
    return Score(value=float(f" {normalise(reference)} " in f" {normalise(answer)} "))


PROTOCOL = Protocol(
    name="closed-whole-word",
    version="1",
    description="yes-no where the reference is yes or no; otherwise the reference as whole words inside the answer.",
    applies_to="closed",
    function=score,
)
