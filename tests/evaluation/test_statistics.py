from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from osler.errors import EvaluationError
from osler.evaluation.statistics import (
    bootstrap_means,
    holm,
    interval,
    mcnemar,
    paired_difference,
    ratio_interval,
    sign_flip_test,
    smallest_detectable,
    standard_error,
)


def slow_cluster_bootstrap(values, clusters, resamples, seed):
    """Independent reference: a loop that really draws clusters and concatenates their items."""
    groups: dict[str, list[float]] = {}
    for value, key in zip(values, clusters, strict=True):
        groups.setdefault(key, []).append(value)
    keys, rng, means = list(groups), random.Random(seed), []
    for _ in range(resamples):
        items = [value for key in rng.choices(keys, k=len(keys)) for value in groups[key]]
        means.append(sum(items) / len(items))
    return np.array(means)


def test_against_scipy_without_clusters():
    values = np.random.default_rng(1).random(120)
    ours = interval(values.tolist(), resamples=20000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20000, method="percentile", rng=7).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.002)
    assert ours.high == pytest.approx(theirs.high, abs=0.002)
    assert ours.mean == pytest.approx(values.mean())


def test_against_a_slow_loop_with_unequal_clusters():
    rng = random.Random(3)
    clusters = [f"image{rng.randrange(25)}" for _ in range(200)]
    effect = {key: rng.random() for key in set(clusters)}
    values = [float(rng.random() < effect[key]) for key in clusters]
    slow = slow_cluster_bootstrap(values, clusters, 8000, 5)
    fast = bootstrap_means(values, clusters=clusters, resamples=8000, seed=5)
    assert np.quantile(fast, [0.025, 0.5, 0.975]) == pytest.approx(np.quantile(slow, [0.025, 0.5, 0.975]), abs=0.01)
    assert fast.std() == pytest.approx(slow.std(), rel=0.05)


def test_clusters_widen_the_interval_when_items_repeat():
    base = [float(i % 2) for i in range(40)]
    repeated, keys = base * 10, [str(i) for i in range(40)] * 10
    honest, naive = interval(repeated, clusters=keys), interval(repeated)
    assert (honest.n, honest.clusters) == (400, 40)
    assert (honest.high - honest.low) > 2.5 * (naive.high - naive.low)
    assert honest.high - honest.low == pytest.approx(interval(base).high - interval(base).low, abs=0.03)


def test_coverage_of_the_nominal_95_percent():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        centres = rng.normal(0.5, 0.2, size=60)
        values = (centres[:, None] + rng.normal(0, 0.1, size=(60, 4))).ravel().tolist()
        keys = [i for i in range(60) for _ in range(4)]
        result = interval(values, clusters=keys, resamples=400, seed=seed)
        hits += result.low <= 0.5 <= result.high
    assert 0.89 <= hits / 200 <= 0.99


def test_paired_difference():
    first, second = [1.0, 1.0, 0.0, 1.0] * 10, [0.0, 1.0, 0.0, 1.0] * 10
    result = paired_difference(first, second)
    assert (result.difference, result.first, result.second, result.n) == (0.25, 0.75, 0.5, 40)
    assert 0.0 < result.low < 0.25 < result.high
    same = paired_difference(first, first)
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    with pytest.raises(EvaluationError, match="same items"):
        paired_difference([1.0], [1.0, 0.0])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
@settings(max_examples=40)
def test_mcnemar_against_scipy(pairs):
    first, second = [x for x, _ in pairs], [y for _, y in pairs]
    result = mcnemar(first, second)
    if result.only_first + result.only_second == 0:
        assert result.p_value == 1.0
    else:
        reference = stats.binomtest(result.only_first, result.only_first + result.only_second, 0.5).pvalue
        assert result.p_value == pytest.approx(reference)
    assert mcnemar(second, first).p_value == result.p_value


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 5))
@settings(max_examples=40)
def test_interval_stays_inside_the_values_and_repeats(values, seed):
    result = interval(values, resamples=100, seed=seed)
    assert min(values) - 1e-9 <= result.low <= result.high <= max(values) + 1e-9
    assert result == interval(values, resamples=100, seed=seed)


def test_no_values_is_an_error():
    with pytest.raises(EvaluationError, match="no values"):
        interval([])
    with pytest.raises(EvaluationError, match="one key per value"):
        interval([1.0, 0.0], clusters=["a"])


def test_ratio_interval_agrees_with_a_loop_over_resamples():
    rng = np.random.default_rng(3)
    above, below = rng.integers(0, 3, 40).tolist(), rng.integers(2, 5, 40).tolist()
    clusters = [i // 2 for i in range(40)]
    found = ratio_interval(above, below, clusters=clusters, resamples=4000, seed=1)
    assert found.mean == pytest.approx(sum(above) / sum(below))
    assert (found.n, found.clusters) == (40, 20)
    ratios = []
    for _ in range(4000):
        chosen = [2 * c + k for c in rng.integers(0, 20, 20) for k in (0, 1)]
        ratios.append(sum(above[i] for i in chosen) / sum(below[i] for i in chosen))
    assert (found.low, found.high) == pytest.approx(np.quantile(ratios, [0.025, 0.975]), abs=0.02)


def test_a_ratio_of_nothing_is_none_and_empty_resamples_are_left_out():
    assert ratio_interval([0, 0], [0, 0]) is None
    found = ratio_interval([1, 0, 0, 0], [1, 0, 0, 0])
    assert (found.mean, found.low, found.high) == (1, 1, 1)
    with pytest.raises(EvaluationError, match="same items"):
        ratio_interval([1], [1, 2])
    with pytest.raises(EvaluationError, match="no values"):
        ratio_interval([], [])


def test_standard_error_is_that_of_the_bootstrap_and_without_clusters_the_textbooks():
    rng = np.random.default_rng(5)
    keys = [int(key) for key in rng.integers(0, 60, 300)]
    effect = rng.normal(0, 0.3, 60)
    values = [effect[key] + rng.normal(0, 0.2) for key in keys]
    slow = bootstrap_means(values, clusters=keys, resamples=20000).std()
    assert standard_error(values, clusters=keys) == pytest.approx(slow, rel=0.05)
    assert standard_error(values) == pytest.approx(np.std(values, ddof=1) / 300**0.5)
    assert standard_error([1.0, 0.0], clusters=["a", "a"]) == 0.0


def test_the_smallest_detectable_difference_is_found_in_four_of_five_repetitions():
    """Simulated: items on images, a true difference of just that size, the interval of the paired difference."""
    rng = np.random.default_rng(11)
    images, each = 80, 4

    def runs(gain):
        shared = rng.normal(0, 0.05, images)[:, None]
        better = (rng.random((images, each)) < 0.15 + gain + shared).astype(float)
        worse = (rng.random((images, each)) < 0.15 - shared).astype(float)
        return better.ravel().tolist(), worse.ravel().tolist()

    keys = [i // each for i in range(images * each)]
    size = np.mean([paired_difference(*runs(0.08), clusters=keys, resamples=50).smallest_detectable for _ in range(30)])
    assert 0.05 < size < 0.12
    found = 0
    for _ in range(200):
        first, second = runs(size)
        result = paired_difference(first, second, clusters=keys, resamples=400)
        found += result.low > 0 or result.high < 0
    assert 0.72 <= found / 200 <= 0.88
    assert paired_difference([1.0] * 9, [1.0] * 9).smallest_detectable is None, "equal answers tell nothing about it"
    assert smallest_detectable(0.1) == pytest.approx(0.1 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)))


def test_signs_of_whole_images_keep_their_level_where_mcnemar_does_not():
    """No true difference, and all questions of an image alike: McNemar counts each of them as news."""
    rng = np.random.default_rng(7)
    clustered = naive = 0
    for seed in range(150):
        first = np.repeat(rng.integers(0, 2, 30), 6)
        second = np.repeat(rng.integers(0, 2, 30), 6)
        keys = np.repeat(np.arange(30), 6).tolist()
        clustered += sign_flip_test(first, second, clusters=keys, resamples=300, seed=seed) <= 0.05
        naive += mcnemar(first == 1, second == 1).p_value <= 0.05
    assert clustered / 150 <= 0.09
    assert naive / 150 > 0.25


def test_the_sign_flip_test_is_exact():
    # three images that all favour the first: of the 8 signs, the two all-equal ones reach the observed sum
    assert sign_flip_test([1, 1, 1], [0, 0, 0], resamples=20000) == pytest.approx(0.25, abs=0.01)
    assert sign_flip_test([1, 0, 1], [1, 0, 1]) == 1.0
    assert sign_flip_test([1.0] * 20, [0.0] * 20, resamples=999) == pytest.approx(1 / 1000)
    with pytest.raises(EvaluationError, match="same items"):
        sign_flip_test([1], [1, 0])


def test_holm_by_hand():
    # Holm (1979): 0.01 x 4, 0.02 x 3, 0.03 x 2 = 0.06, 0.2 x 1
    assert holm([0.02, 0.2, 0.01, 0.03]) == pytest.approx([0.06, 0.2, 0.04, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=50)
def test_holm_keeps_order_and_lies_between_no_correction_and_bonferronis(values):
    found = holm(values)
    assert all(p <= q + 1e-12 and q <= min(1.0, len(values) * p) + 1e-12 for p, q in zip(values, found, strict=True))
    pairs = sorted(zip(values, found, strict=True))
    assert [q for _, q in pairs] == sorted(q for _, q in pairs)
