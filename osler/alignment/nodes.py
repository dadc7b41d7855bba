"""From token states to one node a record: pooling, centring, unit norm."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean over the marked positions; a row without any gives zeros.

    Args:
        states_BTD: states of B rows.
        mask_BT: True where a position counts.

    Returns:
        (B, D), float32 or wider.
    """
    states_BTD = states_BTD.to(torch.promote_types(states_BTD.dtype, torch.float32))
    weight_BT = mask_BT.to(states_BTD.dtype)
    count_B1 = weight_BT.sum(1, keepdim=True)
    return torch.einsum("btd,bt->bd", states_BTD, weight_BT) / count_B1.clamp_min(1)


def segment_mean(states_TD: Tensor, segment_T: Tensor, segments: int) -> Tensor:
    """Mean over the positions of each segment of a packed sequence.

    Args:
        states_TD: states of all positions.
        segment_T: segment of each position, -1 where a position does not count.
        segments: S, their number.

    Returns:
        (S, D), float32 or wider; zeros for a segment without positions.
    """
    states_TD = states_TD.to(torch.promote_types(states_TD.dtype, torch.float32))
    inside = segment_T >= 0
    index = segment_T[inside]
    total_SD = states_TD.new_zeros(segments, states_TD.shape[-1]).index_add(0, index, states_TD[inside])
    count_S = torch.bincount(index, minlength=segments).to(states_TD.dtype)
    return total_SD / count_S[:, None].clamp_min(1)


def centre(nodes_KND: Tensor) -> Tensor:
    """Subtract the mean over the records: a modality's common offset says nothing about a record.

    Args:
        nodes_KND: (..., N, D); unchanged where N is 1, whose centre is the record itself.
    """
    if nodes_KND.shape[-2] == 1:
        return nodes_KND
    return nodes_KND - nodes_KND.mean(-2, keepdim=True)


def unit(rows: Tensor, *, floor: Tensor | float = 1e-12) -> Tensor:
    """Scale every row (last axis) to length 1; a row shorter than `floor` is only divided by it, a zero row stays zero.

    The gradient of a scaled row grows as one over its length. Rows that are short because two nodes are the same (two
    questions about one picture) would drown everything else in what is rounding error.

    Args:
        rows: (..., D).
        floor: shortest length that counts as a direction.
    """
    return rows / torch.linalg.vector_norm(rows, dim=-1, keepdim=True).clamp_min(floor)


def typical_length(rows: Tensor) -> Tensor:
    """Root mean square length of the rows of each (..., N, D), as (..., 1, 1), without gradient."""
    return rows.detach().square().sum(-1, keepdim=True).mean(-2, keepdim=True).sqrt()


def centred_unit(nodes_KND: Tensor, *, floor: float = 1e-3) -> Tensor:
    """Centre each modality and scale its rows to length 1.

    Args:
        nodes_KND: (..., N, D).
        floor: share of a typical uncentred length below which a centred row is no direction but rounding error.
    """
    return unit(centre(nodes_KND), floor=(floor * typical_length(nodes_KND)).clamp_min(1e-12))
