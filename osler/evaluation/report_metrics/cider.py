"""CIDEr-D (Vedantam et al., CVPR 2015, arXiv 1411.5726, section 5) with one reference for each item."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from osler.evaluation.report_metrics.words import ngrams, words

ORDERS = 4
SIGMA = 6.0
SCALE = 10.0
"""CIDEr-D is 10 for identical texts; we divide by it."""
Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class References:
    """What a corpus of references says about n-grams.

    Args:
        holding: number of references that hold an n-gram, for every size.
        count: number of references.
    """

    holding: Counter[Gram]
    count: int


def references(texts: Sequence[str]) -> References:
    """Count in how many references each n-gram stands."""
    holding: Counter[Gram] = Counter()
    for text in texts:
        found = words(text)
        for size in range(1, ORDERS + 1):
            holding.update(set(ngrams(found, size)))
    return References(holding, len(texts))


def cider_d(answer: str, reference: str, corpus: References) -> float:
    """CIDEr-D / 10, in [0, 1].

    For each size n the tf-idf vectors of the n-grams are compared by a cosine in which the answer's weight of an n-gram
    counts at most as much as the reference's; the mean over n is damped by exp(-(difference of lengths)² / (2 · 6²)).
    An n-gram that every reference holds weighs nothing, so that with a single reference the score is 0, as published.
    """
    stated, wanted = words(answer), words(reference)
    total = 0.0
    for size in range(1, ORDERS + 1):
        ours, theirs = _weights(stated, size, corpus), _weights(wanted, size, corpus)
        norms = math.sqrt(math.fsum(w * w for w in ours.values())) * math.sqrt(
            math.fsum(w * w for w in theirs.values())
        )
        if norms:
            total += math.fsum(min(ours.get(gram, 0.0), weight) * weight for gram, weight in theirs.items()) / norms
    damping = math.exp(-((len(stated) - len(wanted)) ** 2) / (2 * SIGMA**2))
    return min(1.0, damping * total / ORDERS)


def _weights(found: list[str], size: int, corpus: References) -> dict[Gram, float]:
    logarithm = math.log(max(corpus.count, 1))
    return {
        gram: times * (logarithm - math.log(max(1, corpus.holding[gram])))
        for gram, times in ngrams(found, size).items()
    }
