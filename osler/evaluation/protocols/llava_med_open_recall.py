"""`llava-med-open-recall`: the token recall behind LLaVA-Med's "open" column, exactly as released."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.vqa_text import normalise_released, word_counts


def score(answer: str, reference: str) -> Score:
    """Recall whose true positives count the multiplicity in the *answer*.

    With c_p, c_g the word counts of answer and reference (both normalised twice, as the released scripts do):
    tp = sum of c_p over words in both, fn = sum of c_g over words only in the reference, recall = tp / (tp + fn).
    Repeating a right word therefore raises the score, and length is never punished.

    Source: released evaluation code of LLaVA-Med v1.0 (`calculate_f1score`), described in our own words.
    """
    predicted = word_counts(normalise_released(normalise_released(answer)))
    gold = word_counts(normalise_released(normalise_released(reference)))
    hit = sum(count for word, count in predicted.items() if word in gold)
    missed = sum(count for word, count in gold.items() if word not in predicted)
    wrong = sum(count for word, count in predicted.items() if word not in gold)
    if hit == 0:
        return Score(value=0.0, detail={"precision": 0.0, "recall": 0.0, "f1": 0.0})
    recall, precision = hit / (hit + missed), hit / (hit + wrong)
    f1 = 2 * precision * recall / (precision + recall)
    return Score(value=recall, detail={"precision": precision, "recall": recall, "f1": f1})


PROTOCOL = Protocol(
    name="llava-med-open-recall",
    version="1",
    description="Token recall as LLaVA-Med released it: repeated right words raise it, length is not punished.",
    applies_to="open",
    function=score,
)
