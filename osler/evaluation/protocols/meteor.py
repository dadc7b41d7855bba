"""`meteor`: METEOR through NLTK, with WordNet."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.report_text import refused, refuses
from osler.evaluation.report_metrics import meteor


def score(answer: str, reference: str) -> Score:
    """METEOR by words, stems and synonyms."""
    if refuses(answer):
        return refused()
    return Score(value=min(1.0, meteor.meteor(answer, reference, synonyms=True)))


PROTOCOL = Protocol(
    name="meteor",
    version="1",
    description="METEOR by NLTK (parameters of 2005, words, stems, WordNet synonyms); not the Java program METEOR 1.5.",
    applies_to="any",
    function=score,
    missing=meteor.missing_wordnet,
)
