"""Which graphs are matched with which: each modality with a barycenter of the modalities, or pairwise.

Correspondences are known (row b of every modality is record b), so a barycenter is a plain mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Barycenter = Literal["inclusive", "leave_one_out", "pairwise"]


class GraphPairs(NamedTuple):
    """Graphs to match, both directions of each pair.

    Args:
        source_PND: first graph of each of the P matchings.
        target_PND: second graph.
    """

    source_PND: Tensor
    target_PND: Tensor


def graph_pairs(
    modalities_KND: Tensor | Sequence[Tensor], kind: Barycenter, *, detach_target: bool = False
) -> GraphPairs:
    """Pair the graphs of K modalities.

    - "inclusive": each modality with the mean of all K (LoGra-Med as released). The mean contains the modality that
      is matched to it, so that matching succeeds even where the modalities have nothing to do with each other.
    - "leave_one_out": each modality with the mean of the other K - 1.
    - "pairwise": each modality with each other one.

    Args:
        modalities_KND: nodes of K >= 2 modalities, (K, N, D).
        kind: of the pairing.
        detach_target: no gradient into the mean (for "pairwise": into the second of the two).

    Returns:
        P = 2K matchings, or K(K - 1) for "pairwise": first every pair in one direction, then in the other.

    Raises:
        ValueError: with fewer than two modalities.
    """
    nodes_KND = modalities_KND if isinstance(modalities_KND, Tensor) else torch.stack(list(modalities_KND))
    K = nodes_KND.shape[0]
    if K < 2:
        raise ValueError(f"alignment needs at least two modalities, got {K}")
    if kind == "pairwise":
        first, second = zip(*combinations(range(K), 2), strict=True)
        own, other = nodes_KND[list(first)], nodes_KND[list(second)]
    else:
        total = nodes_KND.sum(0, keepdim=True)
        own = nodes_KND
        other = (total / K).expand_as(own) if kind == "inclusive" else (total - own) / (K - 1)
    if detach_target:
        other = other.detach()
    return GraphPairs(torch.cat([own, other]), torch.cat([other, own]))
