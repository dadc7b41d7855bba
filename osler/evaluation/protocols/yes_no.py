"""`yes-no`: the first decision word of the answer against a yes-or-no reference."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.decisions import decide
from osler.evaluation.protocols.vqa_text import normalise


def is_yes_no(reference: str) -> bool:
    """Whether the reference is exactly yes or no; only then can a decision be right or wrong."""
    return normalise(reference) in {"yes", "no"}


def score(answer: str, reference: str) -> Score:
    """1 when the answer decides as the reference does; refusals and undecided texts are failures that score 0."""
    decision = decide(answer)
    if decision in {"refusal", "unparsed"}:
        return Score(value=0.0, parsed=False, refusal=decision == "refusal")
    return Score(value=float(decision == normalise(reference)))


PROTOCOL = Protocol(
    name="yes-no",
    version="1",
    description="First decision word (whole word) of the answer; only items whose reference is yes or no.",
    applies_to="closed",
    function=score,
    accepts=is_yes_no,
)
