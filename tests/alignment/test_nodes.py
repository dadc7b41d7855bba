from __future__ import annotations

import pytest
import torch

from osler.alignment.nodes import centre, centred_unit, masked_mean, segment_mean, unit


def test_masked_mean_does_not_change_with_padding() -> None:
    states = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    want = torch.stack([states[0, :2].mean(0), states[1, 0]])
    torch.testing.assert_close(masked_mean(states, mask), want)
    padded = torch.cat([states, torch.full((2, 5, 4), 1e6)], 1)
    torch.testing.assert_close(masked_mean(padded, torch.cat([mask, torch.zeros(2, 5, dtype=torch.bool)], 1)), want)
    assert masked_mean(states, torch.zeros(2, 3, dtype=torch.bool)).tolist() == [[0] * 4] * 2


def test_sixteen_bit_states_are_averaged_in_float32() -> None:
    states = torch.full((1, 4096, 1), 1.0, dtype=torch.bfloat16)
    assert masked_mean(states, torch.ones(1, 4096, dtype=torch.bool)).item() == 1.0
    assert segment_mean(states[0], torch.zeros(4096, dtype=torch.long), 1).item() == 1.0


def test_segment_mean_leaves_out_what_is_marked() -> None:
    states = torch.tensor([[1.0], [3.0], [100.0], [5.0]])
    assert segment_mean(states, torch.tensor([0, 0, -1, 2]), 3).tolist() == [[2.0], [0.0], [5.0]]


def test_centring_keeps_a_single_record() -> None:
    one = torch.tensor([[[3.0, 4.0]]])
    assert torch.equal(centre(one), one)
    assert centre(torch.tensor([[[1.0], [3.0]]])).tolist() == [[[-1.0], [1.0]]]


@pytest.mark.parametrize("rows", [torch.zeros(4, 3), torch.ones(4, 3), 7 + 1e-6 * torch.randn(4, 3)])
def test_rows_without_content_have_bounded_gradients(rows: torch.Tensor) -> None:
    rows = rows.clone().requires_grad_()
    centred_unit(rows).square().sum().backward()
    assert torch.isfinite(rows.grad).all()
    assert rows.grad.abs().max() < 2e3


def test_unit_rows() -> None:
    assert unit(torch.tensor([3.0, 4.0])).tolist() == pytest.approx([0.6, 0.8])
    assert unit(torch.tensor([0.3, 0.4]), floor=1.0).tolist() == pytest.approx([0.3, 0.4])
