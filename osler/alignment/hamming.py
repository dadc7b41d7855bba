"""How wrong a matching is."""

from __future__ import annotations

import torch
from torch import Tensor


def hamming(nodes_PNN: Tensor, truth_PNN: Tensor | None = None) -> Tensor:
    """H(V, V*) = (1/N) sum [V(1 - V*) + (1 - V)V*]: twice the share of wrong nodes.

    Args:
        nodes_PNN: matching V as matrices of 0 and 1.
        truth_PNN: V*; the identity when not given, since row b of every modality is record b.

    Returns:
        (P), between 0 and 2; a random matching has 2(1 - 1/N) on average.
    """
    if truth_PNN is None:
        truth_PNN = torch.eye(nodes_PNN.shape[-1], dtype=nodes_PNN.dtype, device=nodes_PNN.device).expand_as(nodes_PNN)
    wrong = nodes_PNN * (1 - truth_PNN) + (1 - nodes_PNN) * truth_PNN
    return wrong.sum((-2, -1)) / nodes_PNN.shape[-1]
