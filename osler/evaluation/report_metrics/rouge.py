"""ROUGE-L (Lin, Text Summarization Branches Out 2004, section 3) of one answer and one reference."""

from __future__ import annotations

from typing import NamedTuple

from osler.evaluation.report_metrics.words import words

COCO_BETA = 1.2
"""Weight of recall in the F of the COCO caption evaluation."""


class RougeL(NamedTuple):
    """Precision, recall and F1; all in [0, 1]."""

    precision: float
    recall: float
    f1: float

    def f(self, beta: float) -> float:
        """(1 + beta²) P R / (R + beta² P)."""
        below = self.recall + beta**2 * self.precision
        return (1 + beta**2) * self.precision * self.recall / below if below else 0.0


def common_subsequence(first: list[str], second: list[str]) -> int:
    """Length of the longest common subsequence, by bit-parallel rows (Hyyrö, AWOCA 2004).

    One integer holds a row of the table, a bit for every word of `first`; time is |second| additions of |first| bits.
    """
    places: dict[str, int] = {}
    for number, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << number
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        matches = places.get(word)
        if matches is not None:
            met = row & matches
            row = ((row + met) | (row - met)) & full
    return len(first) - row.bit_count()


def rouge_l(answer: str, reference: str) -> RougeL:
    """ROUGE-L of two texts."""
    stated, wanted = words(answer), words(reference)
    # the row of bits is that of the shorter text
    common = common_subsequence(*sorted((stated, wanted), key=len))
    if not common:
        return RougeL(precision=0.0, recall=0.0, f1=0.0)
    precision, recall = common / len(stated), common / len(wanted)
    return RougeL(precision=precision, recall=recall, f1=2 * precision * recall / (precision + recall))
