from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.training.alignment.packing import TARGET_LENGTH, pack, plan_rows

lengths = st.lists(st.integers(1, 90), min_size=1, max_size=70)


@given(lengths)
@settings(deadline=None)
def test_every_text_is_in_one_row_and_little_is_left_over(sizes: list[int]) -> None:
    rows = plan_rows(sizes)
    assert sorted(number for row in rows for number in row) == list(range(len(sizes)))
    longest = max(sum(sizes[number] for number in row) for row in rows)
    assert longest <= max(max(sizes), 2 * TARGET_LENGTH)
    # a row length that grew beyond the mean did so because texts are indivisible
    assert longest * len(rows) <= sum(sizes) + len(rows) * max(sizes)


def test_many_short_texts_leave_almost_nothing_over() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.randint(5, 60, (64,), generator=generator).tolist()
    rows = plan_rows(sizes)
    longest = max(sum(sizes[number] for number in row) for row in rows)
    assert longest * len(rows) / sum(sizes) < 1.03


@given(lengths)
@settings(deadline=None, max_examples=30)
def test_every_token_is_where_its_segment_and_position_say(sizes: list[int]) -> None:
    total = sum(sizes)
    packed = pack(torch.arange(100, 100 + total), sizes, filler=7)
    starts = torch.tensor([sum(sizes[:number]) for number in range(len(sizes))])
    used = packed.segment_RL >= 0
    assert (packed.ids_RL[~used] == 7).all()
    assert torch.equal(packed.ids_RL[used], 100 + starts[packed.segment_RL[used]] + packed.positions_RL[used])
    assert sorted(packed.ids_RL[used].tolist()) == list(range(100, 100 + total))


@given(lengths)
@settings(deadline=None, max_examples=30)
def test_positions_restart_exactly_where_another_text_begins(sizes: list[int]) -> None:
    packed = pack(torch.arange(sum(sizes)), sizes, filler=7)
    new_text = packed.segment_RL[:, 1:] != packed.segment_RL[:, :-1]
    used = packed.segment_RL[:, 1:] >= 0
    restarts = packed.positions_RL[:, 1:] - packed.positions_RL[:, :-1] != 1
    assert torch.equal(restarts[used], new_text[used])
    assert restarts[~used].all()  # every left-over place is alone
