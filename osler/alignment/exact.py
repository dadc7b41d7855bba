"""Exact graph matching by enumeration, for tests and for graphs of at most eight nodes."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

from osler.alignment.matching import Matching, total_cost

LIMIT = 8
_CHUNK = 2**22  # numbers held in memory at once


@torch.no_grad()
def enumerate_matching(
    node_cost_PNN: Tensor,
    edge_cost_PEF: Tensor,
    source_edges_PE2: Tensor,
    target_edges_PF2: Tensor,
    *,
    candidates_PCN: Tensor | None = None,
) -> Matching:
    """Try every permutation; same arguments and result as `osler.alignment.matching.match`.

    Args:
        node_cost_PNN: node costs.
        edge_cost_PEF: edge costs.
        source_edges_PE2: edges of the first graphs.
        target_edges_PF2: edges of the second graphs.
        candidates_PCN: accepted for the solver's interface, and not needed.

    Raises:
        ValueError: there are more than eight nodes.
    """
    P, N, _ = node_cost_PNN.shape
    if N > LIMIT:
        raise ValueError(
            f"enumeration tries all {N}! permutations of {N} nodes; the limit is {LIMIT} nodes, use match()"
        )
    node, edge = node_cost_PNN.double(), edge_cost_PEF.double()
    all_KN = torch.tensor(list(permutations(range(N))), device=node.device)
    # pairwise cost of "i to a, j to b" as a matrix over (i, a) and (j, b); small, since N is
    E, F = edge.shape[1:]
    quad = node.new_zeros(P, N * N * N * N)
    i, j = source_edges_PE2.unbind(-1)
    a, b = target_edges_PF2.unbind(-1)
    left = (i[:, :, None] * N + a[:, None]) * (N * N) + j[:, :, None] * N + b[:, None]
    quad.scatter_add_(1, left.reshape(P, E * F), edge.reshape(P, E * F))
    quad = quad.view(P, N, N, N, N)
    cost = node.new_zeros(P, len(all_KN))
    for i_ in range(N):
        cost += node[:, i_, all_KN[:, i_]]
        for j_ in range(N):
            if i_ != j_:
                table = quad[:, i_, :, j_].reshape(P, N * N)
                cost += table[:, all_KN[:, i_] * N + all_KN[:, j_]]
    permutation_PN = all_KN[cost.argmin(1)]
    return Matching(
        permutation_PN, total_cost(permutation_PN, node_cost_PNN, edge_cost_PEF, source_edges_PE2, target_edges_PF2)
    )
