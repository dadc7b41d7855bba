"""Intervals and paired tests for scores of items that share images.

Several questions stand on one image, so their scores are not independent. Every interval here resamples *clusters* (by
default the image) with all their items; with one item per cluster this is the ordinary bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from osler.errors import EvaluationError

RESAMPLES = 2000
LEVEL = 0.95
POWER = 0.8
FLIPS = 4000
_CHUNK = 500  # resamples held in memory at once: 500 x clusters integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its percentile bootstrap interval.

    Args:
        mean: over items.
        low: lower end.
        high: upper end.
        n: items.
        clusters: distinct clusters; with fewer than about 20 the interval is too narrow.
        level: nominal coverage.
        resamples: number of bootstrap samples.
    """

    mean: float
    low: float
    high: float
    n: int
    clusters: int
    level: float
    resamples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Mean difference of two conditions on the same items.

    Args:
        difference: mean of first minus second.
        low: lower end of the interval of the difference.
        high: upper end.
        first: mean of the first condition on these items.
        second: mean of the second condition on these items.
        n: items present in both.
        clusters: distinct clusters.
        level: nominal coverage.
        resamples: number of bootstrap samples.
        smallest_detectable: true difference that a test at this level would find in four of five repetitions with as
            many items and images; None where all pairs are equal, which tells nothing about it.
    """

    difference: float
    low: float
    high: float
    first: float
    second: float
    n: int
    clusters: int
    level: float
    resamples: int
    smallest_detectable: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Exact McNemar test of two right-or-wrong conditions on the same items.

    Args:
        only_first: items that only the first condition answers rightly.
        only_second: items that only the second answers rightly.
        p_value: two-sided, exact binomial; it treats items as independent, which questions on one image are not.
    """

    only_first: int
    only_second: int
    p_value: float


def _cluster_sums(
    values: npt.NDArray[np.float64], clusters: Sequence[Hashable] | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    if clusters is None:
        return values, np.ones(len(values), dtype=np.int64)
    if len(clusters) != len(values):
        raise EvaluationError(f"{len(values)} values but {len(clusters)} cluster keys; give one key per value")
    positions: dict[Hashable, int] = {}
    index = np.array([positions.setdefault(key, len(positions)) for key in clusters], dtype=np.int64)
    sums = np.bincount(index, weights=values, minlength=len(positions)).astype(np.float64)
    return sums, np.bincount(index, minlength=len(positions)).astype(np.int64)


def draws(clusters: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """How often each cluster is drawn in each resample: arrays of shape (some resamples, clusters), in turn."""
    generator = np.random.default_rng(seed)
    share = np.full(clusters, 1.0 / clusters)
    for start in range(0, resamples, _CHUNK):
        # How often each cluster is drawn is multinomial: one matrix product replaces a loop over samples.
        yield generator.multinomial(clusters, share, size=min(_CHUNK, resamples - start))


def bootstrap_means(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Means of `resamples` bootstrap samples of whole clusters, drawn with replacement.

    A sample's mean is over its items, so clusters weigh as many items as they have (a ratio of two sums).

    Args:
        values: one number per item.
        clusters: one key per item (an image name); None makes each item its own cluster.
        resamples: number of samples.
        seed: of numpy's default generator.

    Returns:
        Array of shape (resamples,).

    Raises:
        EvaluationError: when there are no values or the keys do not fit.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise EvaluationError("no values to resample: the protocol applied to no item")
    sums, counts = _cluster_sums(data, clusters)
    return np.concatenate([(drawn @ sums) / (drawn @ counts) for drawn in draws(len(sums), resamples, seed)])


def ends(means: npt.NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
    """Lower and upper end of the percentile interval of resampled means."""
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)


def interval(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a mean (Efron and Tibshirani 1993, chapter 13), clustered.

    Args:
        values: one score per item.
        clusters: one key per item, normally the image.
        level: nominal coverage.
        resamples: number of bootstrap samples.
        seed: makes the interval reproducible.

    Raises:
        EvaluationError: when there are no values.
    """
    means = bootstrap_means(values, clusters=clusters, resamples=resamples, seed=seed)
    low, high = ends(means, level)
    return Interval(
        mean=float(np.mean(values)),
        low=low,
        high=high,
        n=len(values),
        clusters=len(set(clusters)) if clusters is not None else len(values),
        level=level,
        resamples=resamples,
    )


def ratio_interval(
    numerators: Sequence[float],
    denominators: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Interval of one ratio; see `ratio_intervals`."""
    found = ratio_intervals(
        np.reshape(np.asarray(numerators, dtype=np.float64), (-1, 1)),
        np.reshape(np.asarray(denominators, dtype=np.float64), (-1, 1)),
        clusters=clusters,
        level=level,
        resamples=resamples,
        seed=seed,
    )
    return found[0]


def ratio_intervals(
    numerators: npt.NDArray[np.float64],
    denominators: npt.NDArray[np.float64],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Interval | None]:
    """Percentile bootstrap intervals of ratios of two sums over items, for instance boxes found / boxes stated.

    All ratios are resampled together. Resamples in which a denominator is 0 are left out of its ratio.

    Args:
        numerators: shape (items, ratios).
        denominators: the same shape, not negative.
        clusters: one key per item, normally the image.
        level: nominal coverage.
        resamples: number of bootstrap samples.
        seed: makes the intervals reproducible.

    Returns:
        One for each ratio, whose `mean` is the ratio; None where all denominators are 0.

    Raises:
        EvaluationError: when the shapes differ or there are no items.
    """
    if numerators.shape != denominators.shape:
        raise EvaluationError(
            f"a ratio needs the same items: shapes {numerators.shape} and {denominators.shape} differ"
        )
    items, ratios = numerators.shape
    if not items:
        raise EvaluationError("no values to resample: the protocol applied to no item")
    both = [_cluster_sums(column, clusters)[0] for column in np.hstack([numerators, denominators]).T]
    sums = np.stack(both, axis=1)
    drawn = np.concatenate([weights @ sums for weights in draws(len(sums), resamples, seed)])
    above, below = drawn[:, :ratios], drawn[:, ratios:]
    found: list[Interval | None] = []
    for number in range(ratios):
        bottom = float(denominators[:, number].sum())
        if not bottom:
            found.append(None)
            continue
        there = below[:, number] > 0
        low, high = ends(above[there, number] / below[there, number], level)
        mean = float(numerators[:, number].sum()) / bottom
        found.append(
            Interval(mean=mean, low=low, high=high, n=items, clusters=len(sums), level=level, resamples=resamples)
        )
    return found


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """Bootstrap interval of the mean difference; items stay paired and clusters stay whole.

    Args:
        first: scores of one condition.
        second: scores of the other condition, same items in the same order.
        clusters: one key per item.
        level: nominal coverage.
        resamples: number of bootstrap samples.
        seed: makes the interval reproducible.

    Raises:
        EvaluationError: when the lengths differ or are zero.
    """
    if len(first) != len(second):
        raise EvaluationError(f"a paired comparison needs the same items: {len(first)} scores against {len(second)}")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    result = interval(differences.tolist(), clusters=clusters, level=level, resamples=resamples, seed=seed)
    error = standard_error(differences.tolist(), clusters=clusters)
    return PairedDifference(
        difference=result.mean,
        low=result.low,
        high=result.high,
        first=float(np.mean(first)),
        second=float(np.mean(second)),
        n=result.n,
        clusters=result.clusters,
        level=level,
        resamples=resamples,
        smallest_detectable=smallest_detectable(error, level=level) if error > 0 else None,
    )


def standard_error(values: Sequence[float], *, clusters: Sequence[Hashable] | None = None) -> float:
    """Standard error of a mean over items that share clusters; 0 with a single cluster.

    The linearised variance of a ratio of two sums over clusters (Cochran 1977, eq. 6.13): with residual sums e_g of the
    m clusters and n items, m / (m - 1) * sum(e_g^2) / n^2.
    """
    data = np.asarray(values, dtype=np.float64)
    sums, counts = _cluster_sums(data, clusters)
    if len(sums) < 2:
        return 0.0
    residuals = sums - counts * data.mean()
    return float(math.sqrt(len(sums) / (len(sums) - 1) * np.square(residuals).sum()) / len(data))


def smallest_detectable(error: float, *, level: float = LEVEL, power: float = POWER) -> float:
    """Difference that is found with the given power: (z of level + z of power) * standard error (Bloom 1995).

    Args:
        error: standard error of the difference.
        level: 1 - level is the two-sided rate of false alarms.
        power: chance to find it.
    """
    normal = NormalDist()
    return (normal.inv_cdf((1.0 + level) / 2.0) + normal.inv_cdf(power)) * error


def sign_flip_test(
    first: Sequence[float],
    second: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = FLIPS,
    seed: int = 0,
) -> float:
    """Two-sided p-value of "both are alike": the signs of whole clusters' differences are drawn at random (Fisher).

    Unlike McNemar's test it respects that items share images, and it also holds for graded scores. The smallest value
    it can give is 1 / (resamples + 1).

    Args:
        first: scores of one condition.
        second: scores of the other condition, same items in the same order.
        clusters: one key per item.
        resamples: number of random signs.
        seed: makes it reproducible.

    Raises:
        EvaluationError: when the lengths differ or are zero.
    """
    if len(first) != len(second) or not len(first):
        raise EvaluationError(f"a paired test needs the same items: {len(first)} scores against {len(second)}")
    sums, _ = _cluster_sums(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64), clusters)
    sums = sums[sums != 0]
    generator = np.random.default_rng(seed)
    observed, reached = abs(float(sums.sum())), 0
    rows = min(_CHUNK, max(1, 5_000_000 // max(len(sums), 1)))  # 40 MB at once
    for start in range(0, resamples, rows):
        signs = generator.integers(0, 2, size=(min(rows, resamples - start), len(sums))) * 2.0 - 1.0
        reached += int(np.count_nonzero(np.abs(signs @ sums) >= observed - 1e-9))
    return (reached + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): the k-th smallest times m - k + 1, never falling, at most 1."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, reached = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = reached
    return corrected


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """Exact two-sided McNemar test.

    With b and c the discordant counts, p = min(1, 2 * P[Binomial(b + c, 1/2) <= min(b, c)]).

    Raises:
        EvaluationError: when the lengths differ.
    """
    if len(first) != len(second):
        raise EvaluationError(f"a paired test needs the same items: {len(first)} outcomes against {len(second)}")
    b = sum(1 for x, y in zip(first, second, strict=True) if x and not y)
    c = sum(1 for x, y in zip(first, second, strict=True) if y and not x)
    total = b + c
    tail = sum(math.comb(total, k) for k in range(min(b, c) + 1))
    return McNemar(only_first=b, only_second=c, p_value=float(min(1.0, 2 * tail / 2**total)))
