"""`llava-med-exact-match`: what the released code calls exact match, in fact a precision."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.vqa_text import normalise_released, word_counts


def score(answer: str, reference: str) -> Score:
    """Number of distinct reference words found in the answer, divided by all words of the answer.

    Identical texts score below 1 when a word occurs twice in them. Source: released evaluation code of LLaVA-Med v1.0
    (`calculate_exactmatch`), described in our own words.
    """
    predicted = word_counts(normalise_released(normalise_released(answer)))
    gold = word_counts(normalise_released(normalise_released(reference)))
    total = predicted.total()
    return Score(value=len(predicted.keys() & gold.keys()) / total if total else 0.0)


PROTOCOL = Protocol(
    name="llava-med-exact-match",
    version="1",
    description='"Exact match" as LLaVA-Med released it; in fact distinct right words over words of the answer.',
    applies_to="open",
    function=score,
)
