"""What a model's own confidence is worth: calibration, and answering only where it is sure.

The confidence in an answer is, where the runner scored the options, the softmax of their log-probabilities at the
option that was answered; otherwise the geometric mean of the answer's token probabilities, exp(log-probability /
tokens), which does not fall with the length of the answer (Malinin and Gales 2021, arXiv 2002.07650).

Items of equal confidence cannot be told apart by it, so they count with their common mean everywhere: no number here
depends on the order of the items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from osler.errors import EvaluationError
from osler.evaluation import statistics

BINS = 10
RISKS = (0.05, 0.1, 0.2)
_RESAMPLES = 500
_POINTS = 101
Array = npt.NDArray[np.float64]
Numbers = Sequence[float] | Array


class Bin(NamedTuple):
    """Items of neighbouring confidence: mean confidence, share that is right, and how many."""

    confidence: float
    right: float
    n: int


class OptionProbabilities(NamedTuple):
    """Probabilities of an item's options and the place of the right one (None: unknown)."""

    probabilities: tuple[float, ...]
    right: int | None


def softmax(log_probabilities: Sequence[float]) -> tuple[float, ...]:
    """Probabilities that add up to 1.

    Raises:
        EvaluationError: when there are none, or one is not a number.
    """
    if not log_probabilities or any(math.isnan(value) for value in log_probabilities):
        raise EvaluationError(f"log-probabilities {list(log_probabilities)!r:.80} hold none, or one that is no number")
    top = max(log_probabilities)
    if math.isinf(top):
        raise EvaluationError(f"log-probabilities {list(log_probabilities)!r:.80} are all zero probability")
    shares = [math.exp(value - top) for value in log_probabilities]
    return tuple(share / sum(shares) for share in shares)


def confidence_of(
    *,
    logprob: float | None,
    tokens: int | None,
    options_logprob: Sequence[float] | None,
    chosen: int | None,
) -> float | None:
    """Confidence of one answer in [0, 1]; None where nothing is known about it.

    Args:
        logprob: sum of the natural-log probabilities of the answer's tokens.
        tokens: their number.
        options_logprob: of each option, in the order shown.
        chosen: place of the option that was answered; None for the likeliest.
    """
    if options_logprob:
        shares = softmax(options_logprob)
        return shares[chosen] if chosen is not None and chosen < len(shares) else max(shares)
    if logprob is None or math.isnan(logprob):
        return None
    return math.exp(min(logprob, 0.0) / max(tokens or 1, 1))


def _tied(confidence: Array, right: Array) -> tuple[Array, Array]:
    """Both sorted by falling confidence; what is right is the mean among equal confidences."""
    order = np.argsort(-confidence, kind="stable")
    sure, value = confidence[order], right[order]
    _, place, count = np.unique(-sure, return_inverse=True, return_counts=True)
    return sure, np.bincount(place, weights=value)[place] / count[place]


def reliability(confidence: Numbers, right: Numbers, *, bins: int = BINS) -> list[Bin]:
    """Bins of equal mass from the least to the most sure (Nguyen and O'Connor 2015, arXiv 1508.05154).

    Args:
        confidence: of each item.
        right: 1 or 0 for each item.
        bins: at most so many; fewer where there are fewer items.
    """
    sure, value = _tied(*_checked(confidence, right))
    parts = np.array_split(np.arange(len(sure))[::-1], min(bins, len(sure)))
    return [Bin(float(sure[part].mean()), float(value[part].mean()), len(part)) for part in parts]


def expected_calibration_error(confidence: Numbers, right: Numbers, *, bins: int = BINS) -> float:
    """Mean over bins of equal mass of |share right - mean confidence|, weighted by items (Naeini et al. 2015)."""
    found = reliability(confidence, right, bins=bins)
    return sum(part.n * abs(part.right - part.confidence) for part in found) / len(confidence)


def brier(confidence: Numbers, right: Numbers) -> float:
    """Mean of (confidence - right)^2: the Brier score of "this answer is right", from 0 (best) to 1."""
    sure, value = _checked(confidence, right)
    return float(np.mean((sure - value) ** 2))


def brier_options(items: Sequence[OptionProbabilities]) -> Array:
    """Of each item the sum over options of (probability - 1 if right else 0)^2, from 0 to 2 (Brier 1950).

    Raises:
        EvaluationError: when the right option of an item is unknown.
    """
    scores = []
    for item in items:
        if item.right is None:
            raise EvaluationError("the Brier score of options needs the right option of every item")
        scores.append(sum((p - float(place == item.right)) ** 2 for place, p in enumerate(item.probabilities)))
    return np.array(scores, dtype=np.float64)


def risks(confidence: Numbers, scores: Numbers) -> Array:
    """Mean loss (1 - score) among the k surest items, the risk at coverage k / n (El-Yaniv, Wiener 2010)."""
    _, value = _tied(*_checked(confidence, scores))
    return np.cumsum(1.0 - value) / np.arange(1, len(value) + 1)


def aurc(confidence: Numbers, scores: Numbers) -> float:
    """Area under the risk-coverage curve: mean risk over coverages (Geifman et al. 2019, arXiv 1805.08206)."""
    return float(risks(confidence, scores).mean())


def coverage_at(risk: float, confidence: Numbers, scores: Numbers) -> float:
    """Largest share of items that can be answered, the surest first, with a mean loss of at most `risk`.

    Items of equal confidence are answered together or not at all: a threshold cannot part them.
    """
    curve = risks(confidence, scores)
    sure = np.sort(np.asarray(confidence, dtype=np.float64))[::-1]
    ends = np.append(sure[1:] < sure[:-1], True)
    fits = np.flatnonzero(ends & (curve <= risk + 1e-12))
    return float(fits[-1] + 1) / len(curve) if len(fits) else 0.0


def _checked(confidence: Numbers, right: Numbers) -> tuple[Array, Array]:
    sure, value = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if sure.shape != value.shape or not sure.size:
        raise EvaluationError(f"{sure.size} confidences for {value.size} scores; want as many, and at least one")
    if not (np.all((sure >= 0) & (sure <= 1)) and np.all((value >= 0) & (value <= 1))):
        raise EvaluationError("confidences and scores must lie in [0, 1]")
    return sure, value


def _over_images(
    measures: Sequence[Callable[[Array, Array], float]],
    sure: Array,
    value: Array,
    clusters: Sequence[Hashable],
    seed: int,
) -> list[dict[str, float]]:
    """Measures with their percentile intervals over resampled images."""
    place: dict[Hashable, int] = {}
    index = np.array([place.setdefault(key, len(place)) for key in clusters])
    resamples = int(min(_RESAMPLES, max(100, 5e6 // len(sure))))  # of large benchmarks fewer will do
    found = []
    for drawn in statistics.draws(len(place), resamples, seed):
        for row in drawn:
            times = row[index]
            again = np.repeat(sure, times), np.repeat(value, times)
            found.append([measure(*again) for measure in measures])
    table = np.array(found)
    ends = [statistics.ends(table[:, number]) for number in range(len(measures))]
    return [
        {"mean": measure(sure, value), "low": low, "high": high}
        for measure, (low, high) in zip(measures, ends, strict=True)
    ]


def confidence_summary(
    confidence: Numbers,
    scores: Numbers,
    *,
    clusters: Sequence[Hashable],
    options: Sequence[OptionProbabilities] = (),
    option_clusters: Sequence[Hashable] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """All numbers of one protocol, as in `confidence.protocols` of docs/schema_scores.md.

    Calibration is only defined for scores that are right or wrong; for graded ones there is risk and coverage alone.

    Args:
        confidence: of each item.
        scores: of each item.
        clusters: of each item, normally the image.
        options: items whose options have probabilities and whose right one is known.
        option_clusters: of those items.
        seed: of the bootstrap.
    """
    sure, value = _checked(confidence, scores)
    curve = risks(confidence, scores)
    best = float((np.cumsum(1.0 - np.sort(value)[::-1]) / np.arange(1, len(value) + 1)).mean())
    places = np.unique(np.linspace(0, len(curve) - 1, min(_POINTS, len(curve))).round().astype(int))
    binary = bool(np.all((value == 0) | (value == 1)))

    measures = (aurc, expected_calibration_error, brier) if binary else (aurc,)
    area, *calibration = _over_images(measures, sure, value, clusters, seed)
    choice = None
    if options:
        found = statistics.interval(brier_options(options).tolist(), clusters=option_clusters, seed=seed)
        guessing = float(np.mean([1 - 1 / len(item.probabilities) for item in options]))
        choice = {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n, "of_guessing": guessing}
    return {
        "n": len(sure),
        "mean_confidence": float(sure.mean()),
        "mean_score": float(value.mean()),
        "ece": calibration[0] if binary else None,
        "brier": calibration[1] if binary else None,
        "brier_options": choice,
        "aurc": {**area, "best_possible": best, "without_confidence": float(1 - value.mean())},
        "coverage_at_risk": {f"{risk:g}": coverage_at(risk, confidence, scores) for risk in RISKS},
        "reliability": [part._asdict() for part in reliability(confidence, scores)] if binary else [],
        "risk_coverage": [[float(place + 1) / len(curve), float(curve[place])] for place in places],
    }
