"""Linear assignment, and a lower bound of the quadratic problem that is one."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def assign(cost_PNN: Tensor) -> Tensor:
    """The permutation of least cost for each problem, by SciPy on the CPU: microseconds a problem at these sizes.

    Returns:
        (P, N), on the device of the costs.
    """
    costs = cost_PNN.cpu().numpy()
    found_PN = np.empty(costs.shape[:2], dtype=np.int64)
    for number, cost in enumerate(costs):
        found_PN[number] = linear_sum_assignment(cost)[1]
    return torch.from_numpy(found_PN).to(cost_PNN.device)


def lower_bound(
    node_cost_PNN: Tensor, edge_cost_PEF: Tensor, source_edges_PE2: Tensor, target_edges_PF2: Tensor
) -> Tensor:
    """Linear costs that no permutation's true cost falls below (the idea of Gilmore 1962 and Lawler 1963).

    If i goes to a, each edge that leaves i can at best meet the cheapest edge that leaves a, or none, which costs
    nothing.

    Returns:
        (P, N, N); the least assignment of these costs is a lower bound of the problem.
    """
    P, N, _ = node_cost_PNN.shape
    E, F = edge_cost_PEF.shape[1:]
    if E == 0 or F == 0:
        return node_cost_PNN
    best_PEN = edge_cost_PEF.new_zeros(P, E, N).scatter_reduce(
        2, target_edges_PF2[:, None, :, 0].expand(P, E, F), edge_cost_PEF, "amin", include_self=True
    )
    return node_cost_PNN.scatter_add(1, source_edges_PE2[..., :1].expand(P, E, N), best_PEN)
