"""Costs of matching a node to a node and an edge to an edge (LoGra-Med's released code; LVM-Med, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from osler.alignment.nodes import typical_length, unit

OFFSET = 0.5
EDGE_WEIGHT = 0.5


def node_costs(
    source_PND: Tensor, target_PND: Tensor, noise: Tensor | None = None, *, offset: float = OFFSET
) -> Tensor:
    """C^v_ia = -(cos(x_i, x'_a) + g_ia - offset).

    Args:
        source_PND: nodes of the first graphs.
        target_PND: nodes of the second graphs.
        noise: g, broadcastable to (P, N, N).
        offset: affinity below which a match costs something.

    Returns:
        (P, N, N).
    """
    affinity = unit(source_PND) @ unit(target_PND).mT
    return offset - affinity if noise is None else offset - affinity - noise


def edge_costs(
    source_PED: Tensor,
    target_PFD: Tensor,
    noise: Tensor | None = None,
    *,
    offset: float = OFFSET,
    weight: float = EDGE_WEIGHT,
    floor: float = 1e-6,
) -> Tensor:
    """C^e_ef = -weight (<e, f> + g_ef - offset) for unit edge features; pairs with <e, f> below the offset cost.

    Args:
        source_PED: edge features of the first graphs.
        target_PFD: edge features of the second graphs.
        noise: g', broadcastable to (P, E, F).
        offset: see `node_costs`.
        weight: of edges against nodes.
        floor: share of a graph's typical edge length; shorter edges, those between twins, keep less than unit length.

    Returns:
        (P, E, F).
    """
    source, target = (
        unit(part, floor=(floor * typical_length(part)).clamp_min(1e-12)) for part in (source_PED, target_PFD)
    )
    affinity = source @ target.mT
    return weight * (offset - affinity) if noise is None else weight * (offset - affinity - noise)


def gumbel(shape: tuple[int, ...], scale: float, *, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Samples of Gumbel(0, scale), for perturb-and-MAP (Niepert et al. 2021, arXiv 2106.01798).

    Args:
        shape: of the result.
        scale: beta; 0 gives zeros.
        like: tensor whose device and dtype the result has.
        generator: on that device.
    """
    if scale == 0:
        return torch.zeros(shape, device=like.device, dtype=like.dtype)
    exponential = torch.empty(shape, device=like.device, dtype=torch.float32).exponential_(generator=generator)
    # an exponential draw can be 0 in float32; its logarithm must not be infinite
    return (-scale * exponential.clamp_min(1e-30).log()).to(like.dtype)
