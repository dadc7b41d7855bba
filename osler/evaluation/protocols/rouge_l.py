"""`rouge-l`: F1 of the longest common subsequence of words."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.report_text import refused, refuses
from osler.evaluation.report_metrics.rouge import rouge_l


def score(answer: str, reference: str) -> Score:
    """F1 as the value; precision and recall in the detail."""
    if refuses(answer):
        return refused()
    found = rouge_l(answer, reference)
    return Score(value=min(1.0, found.f1), detail=found._asdict())


PROTOCOL = Protocol(
    name="rouge-l",
    version="1",
    description="ROUGE-L F1 (Lin 2004) over words in lower case without punctuation or stemming.",
    applies_to="any",
    function=score,
)
