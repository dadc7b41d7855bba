"""Contrastive losses at the same hook as the graph alignment: InfoNCE and SigLIP, averaged over pairs of modalities."""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osler.alignment.nodes import unit


def infonce(first_ND: Tensor, second_ND: Tensor, temperature: Tensor | float) -> Tensor:
    """Mean of the two softmax cross-entropies to the diagonal (van den Oord et al. 2018; CLIP, arXiv 2103.00020).

    Args:
        first_ND: rows of one modality; row i belongs to row i of the other.
        second_ND: rows of the other.
        temperature: tau.
    """
    logits_NN = unit(first_ND) @ unit(second_ND).T / temperature
    target_N = torch.arange(len(logits_NN), device=logits_NN.device)
    return (F.cross_entropy(logits_NN, target_N) + F.cross_entropy(logits_NN.T, target_N)) / 2


def siglip(first_ND: Tensor, second_ND: Tensor, scale: Tensor | float, bias: Tensor | float) -> Tensor:
    """-(1/N) sum_ij log sigmoid(y_ij (t z_i z'_j + b)), y = 1 on the diagonal, else -1 (arXiv 2303.15343, equation 1).

    Args:
        first_ND: rows of one modality; row i belongs to row i of the other.
        second_ND: rows of the other.
        scale: t.
        bias: b.
    """
    logits_NN = unit(first_ND) @ unit(second_ND).T * scale + bias
    sign_NN = 2 * torch.eye(len(logits_NN), device=logits_NN.device, dtype=logits_NN.dtype) - 1
    return -F.logsigmoid(sign_NN * logits_NN).sum() / len(logits_NN)


class InfoNCE(nn.Module):
    """`infonce` with a temperature that may be learned; its logarithm is the parameter, as in CLIP."""

    def __init__(self, temperature: float, *, learn: bool) -> None:
        super().__init__()
        # a vector of one: sharding takes no scalars
        self.log_scale = nn.Parameter(torch.tensor([-math.log(temperature)]), requires_grad=learn)

    def forward(self, nodes_KND: Tensor) -> Tensor:
        """Mean over the pairs of K modalities; (K, N, D) to a scalar."""
        # CLIP's bound: without it a separable batch drives the scale to infinity
        temperature = torch.exp(-self.log_scale.clamp(max=math.log(100)))
        pairs = [infonce(a, b, temperature) for a, b in combinations(nodes_KND, 2)]
        return torch.stack(pairs).mean()


class SigLIP(nn.Module):
    """`siglip` with scale and bias that may be learned; the logarithm of the scale is the parameter."""

    def __init__(self, scale: float, bias: float, *, learn: bool) -> None:
        super().__init__()
        # vectors of one: sharding takes no scalars
        self.log_scale = nn.Parameter(torch.tensor([math.log(scale)]), requires_grad=learn)
        self.bias = nn.Parameter(torch.tensor([float(bias)]), requires_grad=learn)

    def forward(self, nodes_KND: Tensor) -> Tensor:
        """Mean over the pairs of K modalities; (K, N, D) to a scalar."""
        pairs = [siglip(a, b, self.log_scale.exp(), self.bias) for a, b in combinations(nodes_KND, 2)]
        return torch.stack(pairs).mean()
