from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.box_matching import match_boxes
from osler.boxes import Box, dice, iou
from osler.errors import BoxError

SIDE = 40


def box(x1, y1, x2, y2, side=SIDE):
    return Box(x1, y1, x2, y2, side, side)


@st.composite
def boxes(draw):
    x = sorted(draw(st.lists(st.integers(0, SIDE), min_size=2, max_size=2, unique=True)))
    y = sorted(draw(st.lists(st.integers(0, SIDE), min_size=2, max_size=2, unique=True)))
    return box(x[0], y[0], x[1], y[1])


def best_sum(predicted, true):
    """The greatest sum of IoU over all one-to-one assignments, by trying each."""
    few, many = sorted((predicted, true), key=len)
    return max(
        (sum(iou(a, b) for a, b in zip(few, chosen, strict=True)) for chosen in permutations(many, len(few))),
        default=0.0,
    )


@settings(deadline=None)  # the first call loads SciPy
@given(st.lists(boxes(), max_size=4), st.lists(boxes(), max_size=4))
def test_the_assignment_is_the_best_of_all(predicted, true):
    match = match_boxes(predicted, true)
    most = max(len(predicted), len(true))
    assert sum(match.ious) == pytest.approx(best_sum(predicted, true))
    assert match.iou == pytest.approx(sum(match.ious) / most if most else 1.0)
    assert 0 <= match.iou <= match.dice <= 1
    assert len({row for row, _ in match.pairs}) == len({column for _, column in match.pairs}) == len(match.pairs)


@given(st.lists(boxes(), max_size=4), st.lists(boxes(), max_size=4), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_sides_may_be_swapped(predicted, true, random):
    shuffled = random.sample(predicted, len(predicted))
    assert match_boxes(shuffled, true).iou == pytest.approx(match_boxes(predicted, true).iou)
    assert match_boxes(true, predicted).iou == pytest.approx(match_boxes(predicted, true).iou)


def test_one_box_is_plain_iou():
    match = match_boxes([Box(0, 0, 10, 10, 20, 20)], [Box(5, 0, 15, 10, 20, 20)])
    assert match.iou == pytest.approx(1 / 3)
    assert match.dice == pytest.approx(dice(Box(0, 0, 10, 10, 20, 20), Box(5, 0, 15, 10, 20, 20)))
    assert (match.hits(0.3), match.hits(0.5)) == (1, 0)
    assert match_boxes([Box(100, 80, 400, 240, 1000, 800)], [Box(100, 80, 400, 400, 1000, 800)]).iou == 0.5


def test_greedy_pairing_would_lose():
    # the first prediction overlaps both; taking its best partner first leaves the second prediction with nothing
    predicted = [box(0, 0, 20, 10), box(0, 0, 10, 10)]
    true = [box(0, 0, 12, 10), box(12, 0, 20, 10)]
    match = match_boxes(predicted, true)
    assert set(match.pairs) == {(0, 1), (1, 0)}
    assert match.iou == pytest.approx((8 / 20 + 10 / 12) / 2)


def test_superfluous_and_missing_boxes_lower_the_score():
    one = [box(0, 0, 10, 10)]
    assert match_boxes(one * 1 + [box(20, 20, 30, 30)], one).iou == 0.5
    assert match_boxes(one, [*one, box(20, 20, 30, 30)]).iou == 0.5
    assert match_boxes([], one).iou == 0
    assert match_boxes(one, []).iou == 0
    assert match_boxes([], []).iou == 1


def test_boxes_without_overlap_are_not_paired():
    assert match_boxes([box(0, 0, 5, 5)], [box(10, 10, 20, 20)]).pairs == ()


def test_images_of_different_size_are_refused():
    with pytest.raises(BoxError, match="boxes refer to images of"):
        match_boxes([box(0, 0, 5, 5)], [box(0, 0, 5, 5, side=50)])
    assert np.isclose(match_boxes([box(0, 0, 5, 5)], [box(0, 0, 5, 5)]).iou, 1)
