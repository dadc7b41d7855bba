"""`strict-exact-match`: the normalised texts are equal."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.vqa_text import normalise


def score(answer: str, reference: str) -> Score:
    """1 when answer and reference are equal after `vqa_text.normalise`, else 0."""
    return Score(value=float(normalise(answer) == normalise(reference)))


PROTOCOL = Protocol(
    name="strict-exact-match",
    version="1",
    description="Answer and reference are the same words in the same order after VQA normalisation.",
    applies_to="any",
    function=score,
)
