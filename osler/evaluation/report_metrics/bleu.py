"""BLEU (Papineni et al., ACL 2002) through sacrebleu (Post, WMT 2018): of one item, and of sums over a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from osler.evaluation.report_metrics.installed import missing_package
from osler.evaluation.report_metrics.words import words

ORDERS = 4


def missing() -> str | None:
    """What to install, when sacrebleu is not."""
    return missing_package("sacrebleu", extra="metrics")


@cache
def _scorer() -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(lowercase=True, tokenize="13a", effective_order=True)


def sentence(answer: str, reference: str) -> tuple[float, dict[str, float]]:
    """BLEU-4 of one item and its counts.

    Args:
        answer: text.
        reference: text.

    Returns:
        BLEU in [0, 1] with exponential smoothing over the orders that the answer has, and the counts `match1` ..
        `match4`, `total1` .. `total4`, `length`, `reference_length`.
    """
    found = _scorer().sentence_score(answer, [reference])
    counts = {f"match{n + 1}": float(found.counts[n]) for n in range(ORDERS)}
    counts |= {f"total{n + 1}": float(found.totals[n]) for n in range(ORDERS)}
    return min(1.0, found.score / 100), counts | {"length": found.sys_len, "reference_length": found.ref_len}


def corpus(sums: Mapping[str, Any], orders: int = ORDERS) -> Any:
    """BLEU of summed counts, as `sacrebleu.corpus_bleu` with exponential smoothing gives it.

    Args:
        sums: arrays (of resamples) by name of count.
        orders: 4 for BLEU-4.
    """
    import numpy as np

    log_mean = np.zeros_like(np.asarray(sums["length"], dtype=np.float64))
    smooth = np.ones_like(log_mean)
    for n in range(1, orders + 1):
        match, total = sums[f"match{n}"], sums[f"total{n}"]
        none = match == 0
        smooth = np.where(none, smooth * 2, smooth)
        log_mean = log_mean + np.log(np.where(none, 1 / smooth, match) / total) / orders
    length = sums["length"]
    brevity = np.where(length < sums["reference_length"], np.exp(1 - sums["reference_length"] / length), 1.0)
    # no n-gram at all, or no answer long enough to hold one of the highest order
    known = (length > 0) & (sums["match1"] > 0) & (sums[f"total{orders}"] > 0)
    return np.where(known, brevity * np.exp(log_mean), 0.0)


def coco_counts(answer: str, reference: str) -> dict[str, float]:
    """Counts of the COCO caption evaluation's BLEU, of plain words, named as those of `sentence`."""
    from osler.evaluation.report_metrics.words import ngrams

    stated, wanted = words(answer), words(reference)
    counts: dict[str, float] = {"length": len(stated), "reference_length": len(wanted)}
    for n in range(1, ORDERS + 1):
        found = ngrams(stated, n)
        counts[f"match{n}"] = (found & ngrams(wanted, n)).total()
        counts[f"total{n}"] = max(0, len(stated) - n + 1)
    return counts


def coco_corpus(sums: Mapping[str, Any], orders: int) -> Any:
    """BLEU of summed counts without smoothing, as the COCO caption evaluation does (to 1e-9)."""
    import numpy as np

    product: Any = 1.0
    for n in range(1, orders + 1):
        product = product * (sums[f"match{n}"] + 1e-15) / (sums[f"total{n}"] + 1e-9)
    ratio = (sums["length"] + 1e-15) / (sums["reference_length"] + 1e-9)
    with np.errstate(over="ignore"):
        brevity = np.where(ratio < 1, np.exp(1 - 1 / np.maximum(ratio, 1e-9)), 1.0)
    return product ** (1 / orders) * brevity
