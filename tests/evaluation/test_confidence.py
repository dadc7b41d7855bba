from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.errors import EvaluationError
from osler.evaluation.confidence import (
    OptionProbabilities,
    aurc,
    brier,
    brier_options,
    confidence_of,
    confidence_summary,
    coverage_at,
    expected_calibration_error,
    reliability,
    risks,
    softmax,
)

PAIRS = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]) | st.floats(0, 1), st.booleans()), min_size=1,
                 max_size=25)  # fmt: skip


def test_confidence_of_an_answer_and_of_options():
    assert confidence_of(logprob=3 * math.log(0.5), tokens=3, options_logprob=None, chosen=None) == pytest.approx(0.5)
    shares = [math.log(0.1), math.log(0.3)]
    assert confidence_of(logprob=-9.0, tokens=1, options_logprob=shares, chosen=None) == pytest.approx(0.75)
    assert confidence_of(logprob=None, tokens=None, options_logprob=shares, chosen=0) == pytest.approx(0.25)
    assert confidence_of(logprob=None, tokens=4, options_logprob=None, chosen=1) is None
    assert confidence_of(logprob=float("nan"), tokens=4, options_logprob=None, chosen=None) is None
    assert confidence_of(logprob=-1.0, tokens=0, options_logprob=None, chosen=None) == pytest.approx(math.exp(-1))
    assert softmax([-1e4, -1e4 + math.log(3)]) == pytest.approx((0.25, 0.75)), "no underflow"
    assert softmax([-math.inf, -5.0]) == (0.0, 1.0)
    for bad in ([], [math.nan, 0.0], [-math.inf]):
        with pytest.raises(EvaluationError, match="log-probabilities"):
            softmax(bad)


def test_calibration_error_by_hand():
    # two bins: 0.2, 0.4 (one right) and 0.8, 1.0 (both right): |0.5 - 0.3| / 2 + |1 - 0.9| / 2
    sure, right = [0.8, 0.2, 1.0, 0.4], [1, 0, 1, 1]
    assert expected_calibration_error(sure, right, bins=2) == pytest.approx(0.15)
    assert [tuple(part) for part in reliability(sure, right, bins=2)] == [
        pytest.approx((0.3, 0.5, 2)), pytest.approx((0.9, 1.0, 2)),
    ]  # fmt: skip
    assert brier(sure, right) == pytest.approx((0.04 + 0.04 + 0 + 0.36) / 4)


def test_a_calibrated_model_has_nearly_no_error_and_a_boaster_has_what_it_boasts():
    rng = np.random.default_rng(0)
    sure = rng.random(20000)
    right = (rng.random(20000) < sure).astype(float)
    assert expected_calibration_error(sure, right) < 0.015
    assert brier(sure, right) == pytest.approx(1 / 6, abs=0.01)
    assert expected_calibration_error(np.full(1000, 0.9), np.arange(1000) % 2) == pytest.approx(0.4)


def test_brier_of_options_is_the_original_one():
    items = [OptionProbabilities((0.7, 0.2, 0.1), 0), OptionProbabilities((1.0, 0.0), 1)]
    assert brier_options(items).tolist() == pytest.approx([0.09 + 0.04 + 0.01, 2.0])
    uniform = OptionProbabilities((0.25,) * 4, 2)
    assert brier_options([uniform])[0] == pytest.approx(1 - 1 / 4)
    with pytest.raises(EvaluationError, match="right option of every item"):
        brier_options([OptionProbabilities((0.5, 0.5), None)])


@given(PAIRS)
@settings(max_examples=60)
def test_risks_are_means_over_all_orders_of_equal_confidences(pairs):
    pairs = pairs[:5]
    sure = [s for s, _ in pairs]
    losses = []
    for order in itertools.permutations(pairs):
        if all(a[0] >= b[0] for a, b in itertools.pairwise(order)):
            lost = [1.0 - right for _, right in order]
            losses.append([sum(lost[: k + 1]) / (k + 1) for k in range(len(lost))])
    expected = np.mean(losses, axis=0)
    right = [float(r) for _, r in pairs]
    assert risks(sure, right) == pytest.approx(expected)
    assert aurc(sure, right) == pytest.approx(expected.mean())


@given(PAIRS, st.integers(0, 5))
@settings(max_examples=60)
def test_no_number_hangs_on_the_order_of_items_and_all_are_bounded(pairs, seed):
    mixed = pairs[:]
    random.Random(seed).shuffle(mixed)
    for measure in (expected_calibration_error, brier, aurc):
        values = [measure([s for s, _ in p], [float(r) for _, r in p]) for p in (pairs, mixed)]
        assert values[0] == pytest.approx(values[1], abs=1e-9)
        assert -1e-12 <= values[0] <= 1 + 1e-12
    shares = [coverage_at(risk, [s for s, _ in pairs], [float(r) for _, r in pairs]) for risk in (0.0, 0.2, 0.5, 1.0)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_coverage_answers_equal_confidences_together():
    sure, right = [0.9, 0.8, 0.8, 0.1], [1, 1, 0, 0]
    assert coverage_at(0.0, sure, right) == 0.25, "no threshold lets one 0.8 through and not the other"
    assert coverage_at(1 / 3, sure, right) == 0.75
    assert coverage_at(0.0, [0.5, 0.4], [0, 1]) == 0.0


def test_a_sure_and_right_order_is_worth_the_best_area_and_graded_scores_have_no_calibration():
    rng = np.random.default_rng(1)
    right = (rng.random(200) < 0.7).astype(float)
    keys = [str(i // 2) for i in range(200)]
    perfect = confidence_summary(right * 0.5 + 0.25, right, clusters=keys)
    assert perfect["aurc"]["mean"] == pytest.approx(perfect["aurc"]["best_possible"])
    blind = confidence_summary(np.full(200, 0.7), right, clusters=keys)
    assert blind["aurc"]["mean"] == pytest.approx(blind["aurc"]["without_confidence"])
    assert blind["ece"]["mean"] == pytest.approx(abs(right.mean() - 0.7))
    assert blind["ece"]["low"] <= blind["ece"]["mean"] + 0.05
    assert sum(part["n"] for part in blind["reliability"]) == 200
    assert blind["risk_coverage"][-1] == [1.0, pytest.approx(1 - right.mean())]
    graded = confidence_summary([0.2, 0.9], [0.5, 1.0], clusters=["a", "b"])
    assert (graded["ece"], graded["brier"], graded["reliability"]) == (None, None, [])
    options = [OptionProbabilities((0.5, 0.5), 0)] * 3
    choice = confidence_summary([0.5] * 3, [1, 0, 1], clusters="abc", options=options, option_clusters="abc")
    assert choice["brier_options"]["mean"] == choice["brier_options"]["of_guessing"] == 0.5
    for sure, scores in (([], []), ([0.5], [1, 0]), ([1.5], [1]), ([0.5], [2])):
        with pytest.raises(EvaluationError, match="confidences"):
            brier(sure, scores)


def test_the_interval_is_that_of_a_slow_bootstrap_over_images():
    rng = np.random.default_rng(2)
    sure = rng.random(120)
    right = (rng.random(120) < sure).astype(float)
    keys = [i // 4 for i in range(120)]
    found = confidence_summary(sure, right, clusters=keys)["brier"]
    slow = []
    for _ in range(2000):
        rows = [4 * c + k for c in rng.integers(0, 30, 30) for k in range(4)]
        slow.append(np.mean((sure[rows] - right[rows]) ** 2))
    assert (found["low"], found["high"]) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.015)
