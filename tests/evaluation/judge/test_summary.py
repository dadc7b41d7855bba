from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation.judge.summary import Verdict, relative, reliability, summarise, value


def verdict(item, *orders, unanswered=False):
    groups = {"question_type": "a" if item % 2 else "b"}
    return Verdict(item=str(item), cluster=item, groups=groups, marks=tuple(orders), unanswered=unanswered)


def test_a_mean_of_ratios_as_published():
    """Golden value of the published score: (8, 4) and (10, 9) give 70.0; a ratio of sums would give 72.22."""
    verdicts = [verdict(0, ((8.0, 4.0),)), verdict(1, ((10.0, 9.0),))]
    assert summarise(verdicts)["relative_score"]["mean"] * 100 == pytest.approx(70.0)


def test_every_item_counts():
    verdicts = [
        verdict(0, ((10.0, 10.0),), ((10.0, 10.0),)),
        verdict(1, ((10.0, 10.0),), (None,)),
        verdict(2, unanswered=True),
        verdict(3, ((10.0, 1.0),), ((10.0, 1.0),)),
    ]
    found = summarise(verdicts)
    assert (found["mean"], found["denominator"], found["failures"], found["unanswered"]) == (0.25, 4, 1, 1)
    assert found["by_group"]["question_type"]["b"]["mean"] == 0.5
    assert found["by_group"]["question_type"]["a"]["n"] == 2
    assert found["low"] <= found["mean"] <= found["high"]


def test_a_judge_that_likes_the_first_place():
    # marks are (reference, candidate); equal answers, two marks more for whoever stands first
    biased = [verdict(n, ((8.0, 6.0),), ((6.0, 8.0),)) for n in range(4)]
    found = reliability(biased)
    assert found["position_bias"] == 2.0
    assert (found["favours_first"], found["favours_second"], found["order_agreement"]) == (1.0, 0.0, 0.0)
    fair = [verdict(n, ((9.0, 3.0),), ((9.0, 3.0),)) for n in range(4)]
    found = reliability(fair)
    assert (found["position_bias"], found["order_agreement"], found["items_in_both_orders"]) == (0.0, 1.0, 4)
    assert found["repeat_agreement"] is None


def test_a_judge_that_changes_its_mind():
    wavering = [verdict(0, ((5.0, 5.0), (5.0, 7.0))), verdict(1, ((5.0, 6.0), (5.0, 7.0)))]
    found = reliability(wavering)
    assert (found["items_repeated"], found["repeat_agreement"], found["repeat_mark_difference"]) == (2, 0.5, 1.5)
    assert found["position_bias"] is None


mark = st.floats(1, 10)
order = st.lists(st.one_of(st.none(), st.tuples(mark, mark)), min_size=1, max_size=3).map(tuple)


@given(st.lists(st.lists(order, min_size=1, max_size=2), min_size=1, max_size=5))
def test_bounds(items):
    verdicts = [verdict(number, *orders) for number, orders in enumerate(items)]
    assert all(0 <= value(entry) <= 1 for entry in verdicts)
    assert all(0 <= relative(entry) <= 10 for entry in verdicts)
    found = reliability(verdicts)
    assert found["position_bias"] is None or abs(found["position_bias"]) <= 9
