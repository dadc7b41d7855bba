"""Exact graph matching by enumeration: the reference for tests and benchmarks, for graphs of at most eight nodes."""

from __future__ import annotations

from itertools import combinations, permutations

import torch
from torch import Tensor

from osler.alignment.matching import Matching, check, total_cost

LIMIT = 8
_PROBLEMS = 64
"""Problems enumerated at once: 8! costs in float64 of each are 21 MB."""


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
        node_cost_PNN: C^v.
        edge_cost_PEF: C^e.
        source_edges_PE2: edges of the first graphs.
        target_edges_PF2: edges of the second graphs.
        candidates_PCN: accepted for the solver's interface, and not needed.

    Raises:
        ValueError: when there are more than eight nodes, or the batch is not one.
    """
    check(node_cost_PNN, edge_cost_PEF, source_edges_PE2, target_edges_PF2)
    N = node_cost_PNN.shape[1]
    if N > LIMIT:
        raise ValueError(f"enumeration tries all permutations; {N} nodes have too many (limit {LIMIT}), use match()")
    problem = node_cost_PNN.double(), edge_cost_PEF.double(), source_edges_PE2, target_edges_PF2
    all_KN = torch.tensor(list(permutations(range(N))), device=node_cost_PNN.device)
    chunks = zip(*(part.split(_PROBLEMS) for part in problem), strict=True)
    found = [all_KN[_all_costs(all_KN, *chunk).argmin(1)] for chunk in chunks]
    permutation_PN = torch.cat(found) if found else all_KN[:0]
    return Matching(
        permutation_PN, total_cost(permutation_PN, node_cost_PNN, edge_cost_PEF, source_edges_PE2, target_edges_PF2)
    )


def _all_costs(all_KN: Tensor, nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Costs (P, K) of K permutations."""
    P, N, _ = nodes.shape
    # pairs_iajb: cost of "i goes to a and j goes to b", for the edge (i, j)
    first = source[:, :, None, 0] * N + target[:, None, :, 0]
    second = source[:, :, None, 1] * N + target[:, None, :, 1]
    pairs = nodes.new_zeros(P, N**4).scatter_add_(1, (first * N * N + second).flatten(1), edges.flatten(1))
    pairs = pairs.view(P, N, N, N, N)
    cost_PK = nodes.new_zeros(P, len(all_KN))
    for i in range(N):
        cost_PK += nodes[:, i][:, all_KN[:, i]]
    for i, j in combinations(range(N), 2):
        both_PNN = pairs[:, i, :, j] + pairs[:, j, :, i].transpose(1, 2)
        cost_PK += both_PNN.reshape(P, N * N)[:, all_KN[:, i] * N + all_KN[:, j]]
    return cost_PK
