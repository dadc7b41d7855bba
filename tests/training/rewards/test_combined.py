import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.errors import RewardError
from osler.training.rewards.combined import Combined, normalised


class Fixed:
    """A reward that says what it was given."""

    def __init__(self, name, values):
        self.__name__, self.values = name, values

    def __call__(self, prompts, completions, **columns):
        return list(self.values)


def combine(values, *, group, weights=None, **options):
    rewards = [Fixed(name, row) for name, row in values.items()]
    combined = Combined(rewards, weights or dict.fromkeys(values, 1.0), group=group, **options)
    count = len(next(iter(values.values())))
    return combined(prompts(count, group), ["x"] * count)


def prompts(count, group):
    return [f"prompt {number // group}" for number in range(count)]


def test_golden():
    assert normalised([0.5, 0.25, 0, 0]) == pytest.approx([1, 0.5, 0, 0], abs=1e-5)
    assert normalised([0, 0, 0, 0]) == [0, 0, 0, 0]
    assert normalised([None, 0.2]) == [None, pytest.approx(1, abs=1e-4)]
    assert normalised([None, None]) == [None, None]


def test_a_floor_keeps_tiny_values_tiny():
    assert normalised([0.001, 0.0005], floor=0.1) == pytest.approx([0.01, 0.005], rel=1e-4)
    assert normalised([0.5, 0.25], floor=0.1) == pytest.approx([1, 0.5], rel=1e-4)


@given(st.lists(st.floats(0, 1) | st.none(), max_size=12), st.floats(0, 1))
def test_never_nan_and_never_above_one(values, floor):
    found = normalised(values, floor=floor)
    assert [value is None for value in found] == [value is None for value in values]
    assert all(0 <= value <= 1 and math.isfinite(value) for value in found if value is not None)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8), st.floats(0.1, 50))
def test_the_scale_of_a_reward_does_not_matter(values, factor):
    scaled = normalised([factor * value for value in values])
    assert scaled == pytest.approx(normalised(values), rel=1e-3)


def test_sum_of_weighted_rewards_group_by_group():
    found = combine(
        {"localisation": [0.5, 0.25, 0, 0], "judge": [0.2, 0.4, 0.6, 0.8]},
        group=2,
        weights={"localisation": 2.0, "judge": 0.5},
    )
    assert found == pytest.approx([2 + 0.1, 1 + 0.2, 0.3, 0.4], abs=1e-4)


def test_an_absent_term_is_left_out_and_counted():
    logged = {}
    combined = Combined(
        [Fixed("localisation", [1.0, 0.5]), Fixed("judge", [None, 0.5])],
        {"localisation": 1.0, "judge": 1.0},
        group=2,
    )
    assert combined(["a", "a"], ["x", "y"], log_metric=logged.__setitem__) == pytest.approx([1, 1.0], abs=1e-4)
    assert logged["rewards/judge/missing"] == 0.5
    assert logged["rewards/localisation/raw/mean"] == 0.75
    assert logged["rewards/localisation/used/max"] == pytest.approx(1, abs=1e-4)
    assert {key for key in logged if key.startswith("rewards/judge/raw/")} >= {"rewards/judge/raw/p10"}
    assert combine({"judge": [None, None]}, group=2) == [None, None]


def test_groups_must_be_whole_and_of_one_prompt():
    combined = Combined([Fixed("judge", [1.0] * 4)], {"judge": 1.0}, group=2)
    with pytest.raises(RewardError, match="5 completions are no whole groups of 2"):
        combined(["a"] * 5, ["x"] * 5)
    with pytest.raises(RewardError, match="side by side"):
        combined(["a", "b", "a", "b"], ["x"] * 4)
    with pytest.raises(RewardError, match="side by side"):
        combined(["a"] * 4, ["x"] * 4, id=["1", "2", "1", "2"])  # the same question to two pictures


def test_weights_and_rewards_go_together():
    with pytest.raises(RewardError, match="one weight each"):
        Combined([Fixed("judge", [])], {"localisation": 1.0}, group=2)
    with pytest.raises(RewardError, match="negative"):
        combine({"localisation": [-0.1, 0.2]}, group=2)
    with pytest.raises(RewardError, match="not finite"):
        combine({"localisation": [math.nan, 0.2]}, group=2)
    with pytest.raises(RewardError, match="judge gave nan, which is not finite"):
        combine({"judge": [0.1, math.nan]}, group=2)
    with pytest.raises(RewardError, match="3 values for 2 completions"):
        Combined([Fixed("judge", [0.1, 0.2, 0.3])], {"judge": 1.0}, group=2)(["a", "a"], ["x", "y"])
