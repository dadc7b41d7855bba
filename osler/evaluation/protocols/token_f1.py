"""`token-f1`: precision, recall and F1 over multisets of words."""

from __future__ import annotations

from typing import NamedTuple

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.vqa_text import normalise, word_counts


class Overlap(NamedTuple):
    """Word overlap of an answer with a reference; all in [0, 1]. Named, because these three get swapped."""

    precision: float
    recall: float
    f1: float


def overlap(answer: str, reference: str) -> Overlap:
    """Multiset overlap: a word counts as often as it occurs in *both* texts, so repetition earns nothing."""
    predicted, gold = word_counts(normalise(answer)), word_counts(normalise(reference))
    hit = (predicted & gold).total()
    if hit == 0:
        return Overlap(precision=0.0, recall=0.0, f1=0.0)
    precision, recall = hit / predicted.total(), hit / gold.total()
    return Overlap(precision=precision, recall=recall, f1=2 * precision * recall / (precision + recall))


def score(answer: str, reference: str) -> Score:
    """F1 as the value; precision and recall in the detail."""
    result = overlap(answer, reference)
    return Score(value=min(result.f1, 1.0), detail=result._asdict())


PROTOCOL = Protocol(
    name="token-f1",
    version="1",
    description="F1 of the words of answer and reference as multisets, after VQA normalisation.",
    applies_to="any",
    function=score,
)
