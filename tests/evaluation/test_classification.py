from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.errors import EvaluationError
from osler.evaluation import statistics
from osler.evaluation.classification import balanced_accuracy, class_scores, macro_f1

PAIRS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "z", None])), min_size=1, max_size=30
)


def by_definition(gold, predicted):
    """One class after the other, from precision and recall."""
    recalls, f1s = [], []
    for label in sorted(set(gold)):
        hits = sum(g == p == label for g, p in zip(gold, predicted, strict=True))
        recall = hits / gold.count(label)
        precision = hits / predicted.count(label) if label in predicted else 0.0
        recalls.append(recall)
        f1s.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return sum(recalls) / len(recalls), sum(f1s) / len(f1s)


def test_by_hand():
    gold = ["no"] * 8 + ["yes"] * 2
    always = ["no"] * 10  # accuracy 0.8
    assert balanced_accuracy(gold, always) == 0.5
    assert macro_f1(gold, always) == pytest.approx((16 / 18 + 0) / 2)
    assert macro_f1(gold, [None] * 10) == 0.0
    # an option that is never right is a miss, and no class of its own
    assert balanced_accuracy(["a", "b"], ["a", "distractor"]) == 0.5
    assert macro_f1(["a", "b"], ["a", "distractor"]) == 0.5


@given(PAIRS)
def test_as_defined(pairs):
    gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
    expected = by_definition(gold, predicted)
    assert (balanced_accuracy(gold, predicted), macro_f1(gold, predicted)) == pytest.approx(expected)
    found = class_scores(gold, predicted, resamples=20)
    assert (found.balanced_accuracy.mean, found.macro_f1.mean) == pytest.approx(expected)
    assert found.classes == len(set(gold))
    for score in (found.balanced_accuracy, found.macro_f1):
        assert 0.0 <= score.low <= score.high <= 1.0


def test_interval_is_that_of_resampled_items_by_a_plain_loop():
    generator = np.random.default_rng(3)
    gold = generator.choice(list("abc"), 40).tolist()
    predicted = [g if keep else "a" for g, keep in zip(gold, generator.random(40) < 0.6, strict=True)]
    images = [f"image{i // 2}" for i in range(40)]
    found = class_scores(gold, predicted, clusters=images, resamples=300, seed=7)
    resampled = []
    for chunk in statistics.draws(20, 300, 7):
        for counts in chunk:
            chosen = [i for i in range(40) for _ in range(counts[i // 2])]
            resampled.append(by_definition([gold[i] for i in chosen], [predicted[i] for i in chosen]))
    expected = np.quantile(np.array(resampled), [0.025, 0.975], axis=0)
    assert (found.balanced_accuracy.low, found.macro_f1.low) == pytest.approx(tuple(expected[0]))
    assert (found.balanced_accuracy.high, found.macro_f1.high) == pytest.approx(tuple(expected[1]))


def test_faults():
    with pytest.raises(EvaluationError, match="no items"):
        macro_f1([], [])
    with pytest.raises(EvaluationError, match="2 right answers but 1 predictions"):
        balanced_accuracy(["a", "b"], ["a"])
    with pytest.raises(EvaluationError, match="1 cluster keys"):
        class_scores(["a", "b"], ["a", "b"], clusters=["x"])
