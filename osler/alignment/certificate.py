"""A permutation that is often the optimum of an easy matching problem, and a proof of it where there is one.

Let p be a permutation, and q another that moves the nodes of a set S. Edges without an end in S cost the same under
both. Let l_e(i, a) be the least that edge e can cost when its end i is at a, x = l_e(i, a) - D_e(p), and h(x) = x / 2
if x > 0, else x. An edge with one end i in S costs at least x >= h(x) more under q than under p; one with both ends in
S at least the mean of both ends' x, which is at least the sum of their h(x). So

    cost(q) - cost(p) >= sum_i R_{i, q(i)},   R_{i, a} = C_{i, a} - C_{i, p(i)} + sum of h(x) over the edges of i,

with R_{i, p(i)} = 0, and p is optimal if no assignment of the costs R is below 0: one linear assignment decides. Well
aligned graphs pass at every size, since nothing is summed over more than the edges of one node. The candidate p is the
assignment of least C plus half of l_e over the edges of each node, a lower bound in the manner of Gilmore 1962 and
Lawler 1963.

Shapes: P problems, N nodes, E edges of the first graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

from osler.alignment.assignment import assign


def proven_optima(
    node_cost_PNN: Tensor, pair_cost_PENN: Tensor, source_edges_PE2: Tensor, rounding_P: Tensor
) -> tuple[Tensor, Tensor]:
    """Candidate of each problem, and whether it is the optimum.

    Args:
        node_cost_PNN: C.
        pair_cost_PENN: costs of edge (i, j) with i at a and j at b.
        source_edges_PE2: the edges (i, j).
        rounding_P: differences of cost below this count as none.

    Returns:
        Permutations (P, N), and proofs (P); without a proof the permutation may still be optimal.
    """
    P, E, N, _ = pair_cost_PENN.shape
    start_PEN, end_PEN = (part[..., None].expand(P, E, N) for part in source_edges_PE2.unbind(-1))
    least_start_PEN, least_end_PEN = pair_cost_PENN.amin(3), pair_cost_PENN.amin(2)
    bound_PNN = node_cost_PNN.scatter_add(1, start_PEN, 0.5 * least_start_PEN)
    permutation_PN = assign(bound_PNN.scatter_add_(1, end_PEN, 0.5 * least_end_PEN))

    places_PE2 = permutation_PN.gather(1, source_edges_PE2.reshape(P, -1)).view(P, E, 2)
    entry_PE1 = (places_PE2[..., 0] * N + places_PE2[..., 1])[..., None]
    now_PE1 = pair_cost_PENN.view(P, E, -1).gather(2, entry_PE1)
    at_PN1 = permutation_PN[..., None]
    excess_PNN = node_cost_PNN - node_cost_PNN.gather(2, at_PN1)
    excess_PNN.scatter_add_(1, start_PEN, _shared(least_start_PEN - now_PE1))
    excess_PNN.scatter_add_(1, end_PEN, _shared(least_end_PEN - now_PE1))
    excess_PNN.scatter_(2, at_PN1, 0)
    proven_P = excess_PNN.amin((1, 2)) >= 0
    rows = (~proven_P).nonzero()[:, 0]
    others_KNN = excess_PNN[rows]
    proven_P[rows] = others_KNN.gather(2, assign(others_KNN)[..., None]).sum((1, 2)) >= -rounding_P[rows]
    return permutation_PN, proven_P


def _shared(x: Tensor) -> Tensor:
    """h."""
    return torch.minimum(x, 0.5 * x)
