# NOTE TO THE HELPER WHO WORKS ON THE SOLVER (from the lead; remove this block when you have read it): we collided in this
# file. This version, with assignment.py, relaxation.py and tabu_search.py, is mine and stays: exact optimum in 100 % of 240
# instances of each family at N = 8. Yours lie in /tmp/solver/helper1 (frank_wolfe, lawler, local_search, noise). Please do
# NOT overwrite: write tests/alignment/test_matching.py, benchmarks/matching.py, Makefile target and extra against this
# version now, then improve this one only where the benchmark shows a gain (speed at N = 16, quality at N >= 32).
"""Second-order graph matching (Lawler's quadratic assignment) for batches of small problems.

    minimise   sum_ia C^v_ia V_ia  +  sum over e = (i, j) in E1, f = (a, b) in E2 of  C^e_ef V_ia V_jb

over permutations V. LoGra-Med's release solves it with LPMP, a C++ package; here easy problems are recognised by three
assignments that agree, and a tabu search takes the rest. Shapes: P problems, N nodes, E and F edges, C candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from osler.alignment.assignment import assign, lower_bound
from osler.alignment.relaxation import gradient, relax
from osler.alignment.tabu_search import effort, quadratic_form, tabu_search

_LARGEST_FORM = 2**26
"""Numbers in the quadratic forms that are held at once (256 MiB in float32); larger batches are cut."""


class Matching(NamedTuple):
    """Best permutations found.

    Args:
        permutation_PN: target node of each source node, int64.
        cost_P: their cost.
    """

    permutation_PN: Tensor
    cost_P: Tensor


@torch.no_grad()
def match(
    node_cost_PNN: Tensor,
    edge_cost_PEF: Tensor,
    source_edges_PE2: Tensor,
    target_edges_PF2: Tensor,
    *,
    candidates_PCN: Tensor | None = None,
) -> Matching:
    """Solve a batch of problems.

    Deterministic, independent of what else is in the batch and of torch's random state, and never worse than the best
    assignment by node costs alone. Nothing favours the identity, the truth in training: targets are relabelled before
    the search, so that ties fall on an arbitrary permutation.

    Args:
        node_cost_PNN: C^v.
        edge_cost_PEF: C^e.
        source_edges_PE2: directed edges (i, j) of the first graphs, without loops and repetitions.
        target_edges_PF2: edges (a, b) of the second graphs.
        candidates_PCN: further permutations to start from.

    Returns:
        The permutations, on the device of the costs.

    Raises:
        ValueError: when shapes do not fit or a cost is not finite.
    """
    check(node_cost_PNN, edge_cost_PEF, source_edges_PE2, target_edges_PF2)
    P, N, _ = node_cost_PNN.shape
    device = node_cost_PNN.device
    if P == 0 or N == 1:
        permutation_PN = torch.zeros(P, N, dtype=torch.long, device=device)
    else:
        dtype = torch.promote_types(torch.promote_types(node_cost_PNN.dtype, edge_cost_PEF.dtype), torch.float32)
        order_N = torch.randperm(N, generator=torch.Generator().manual_seed(N)).to(device)
        place_N = order_N.argsort()
        permutation_PN = order_N[
            _solve(
                node_cost_PNN.to(dtype)[..., order_N],
                edge_cost_PEF.to(dtype),
                source_edges_PE2,
                place_N[target_edges_PF2],
                None if candidates_PCN is None else place_N[candidates_PCN],
            )
        ]
    cost_P = total_cost(permutation_PN, node_cost_PNN, edge_cost_PEF, source_edges_PE2, target_edges_PF2)
    return Matching(permutation_PN, cost_P)


def _solve(nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor, candidates: Tensor | None) -> Tensor:
    problem = (nodes, edges, source, target)
    by_nodes_PN = assign(nodes)
    if edges.shape[1] == 0 or edges.shape[2] == 0:
        return by_nodes_PN  # without edge pairs the assignment is the answer
    by_bound_PN = assign(lower_bound(*problem))
    # Easy problems are those in which three simplifications agree: nodes alone, the lower bound of the whole cost, and
    # the cost made linear at their answer. Well aligned graphs are of this kind, and need no search.
    again_PN = assign(gradient(node_matrix(by_bound_PN, nodes.dtype), *problem))
    hard_P = ((by_nodes_PN != by_bound_PN) | (again_PN != by_bound_PN)).any(1)
    result_PN = by_bound_PN.clone()
    rows = hard_P.nonzero()[:, 0]
    starts_PSN = torch.stack([by_nodes_PN, by_bound_PN], 1)
    if candidates is not None:
        starts_PSN = torch.cat([candidates, starts_PSN], 1)
    for chunk in rows.split(max(1, _LARGEST_FORM // nodes.shape[1] ** 4)) if len(rows) else ():
        result_PN[chunk] = _search(*(part[chunk] for part in problem), starts_PSN[chunk])
    return result_PN


def _search(nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor, starts_PSN: Tensor) -> Tensor:
    P, N, _ = nodes.shape
    search = effort(N)
    starts = [starts_PSN]
    if search.relaxation:
        starts.append(relax(nodes, edges, source, target, steps=search.relaxation)[:, None])
    generator = torch.Generator().manual_seed(1)
    count = max(1, search.starts - sum(part.shape[1] for part in starts))
    random_SN = torch.stack([torch.randperm(N, generator=generator) for _ in range(count)])
    starts.append(random_SN.to(nodes.device)[None].expand(P, -1, -1))
    form = quadratic_form(edges, source, target, N)
    permutation_PSN, cost_PS = tabu_search(nodes, form, torch.cat(starts, 1), steps=search.steps)
    best = cost_PS.argmin(1)
    return permutation_PSN[torch.arange(P, device=nodes.device), best]


def total_cost(
    permutation_PN: Tensor,
    node_cost_PNN: Tensor,
    edge_cost_PEF: Tensor,
    source_edges_PE2: Tensor,
    target_edges_PF2: Tensor,
) -> Tensor:
    """Cost of given permutations.

    Returns:
        (P), in the wider of the costs' types, at least float32.
    """
    dtype = torch.promote_types(torch.promote_types(node_cost_PNN.dtype, edge_cost_PEF.dtype), torch.float32)
    P, N = permutation_PN.shape
    cost_P = node_cost_PNN.to(dtype).gather(2, permutation_PN[..., None])[..., 0].sum(1)
    E, F = edge_cost_PEF.shape[1:]
    if E == 0 or F == 0:
        return cost_P
    # number of the target edge (a, b), or F where there is none
    number = torch.full((P, N * N), F, dtype=torch.long, device=permutation_PN.device)
    index = target_edges_PF2[..., 0] * N + target_edges_PF2[..., 1]
    number.scatter_(1, index, torch.arange(F, device=index.device).expand(P, F))
    start, end = (permutation_PN.gather(1, part) for part in source_edges_PE2.unbind(-1))
    onto_PE1 = number.gather(1, start * N + end)[..., None]
    padded = torch.cat([edge_cost_PEF.to(dtype), edge_cost_PEF.new_zeros(P, E, 1, dtype=dtype)], 2)
    return cost_P + padded.gather(2, onto_PE1)[..., 0].sum(1)


def node_matrix(permutation_PN: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """V (P, N, N): 1 where node i goes to target a."""
    return torch.nn.functional.one_hot(permutation_PN, permutation_PN.shape[1]).to(dtype)


def edge_matrix(
    permutation_PN: Tensor, source_edges_PE2: Tensor, target_edges_PF2: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Q (P, E, F): V_ia V_jb for e = (i, j) and f = (a, b), 1 where edge e goes to edge f."""
    start, end = (permutation_PN.gather(1, part) for part in source_edges_PE2.unbind(-1))
    a, b = target_edges_PF2.unbind(-1)
    return ((start[..., None] == a[:, None]) & (end[..., None] == b[:, None])).to(dtype)


def check(nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor) -> None:
    """Refuse a batch whose shapes do not fit.

    Raises:
        ValueError: names the part.
    """
    if nodes.dim() != 3 or nodes.shape[1] != nodes.shape[2] or nodes.shape[1] < 1:
        raise ValueError(f"node costs have shape {tuple(nodes.shape)}; want (problems, nodes, nodes)")
    P, N, _ = nodes.shape
    for name, part in (("source", source), ("target", target)):
        if part.dim() != 3 or part.shape[0] != P or part.shape[2] != 2:
            raise ValueError(f"{name} edges have shape {tuple(part.shape)}; want ({P}, edges, 2)")
        if part.numel() and not (int(part.min()) >= 0 and int(part.max()) < N):
            raise ValueError(f"{name} edges name nodes from {int(part.min())} to {int(part.max())}; there are {N}")
        if (part[..., 0] == part[..., 1]).any():
            raise ValueError(f"{name} edges hold a loop")
    if tuple(edges.shape) != (P, source.shape[1], target.shape[1]):
        want = (P, source.shape[1], target.shape[1])
        raise ValueError(f"edge costs have shape {tuple(edges.shape)}; the edge lists want {want}")
    if not (torch.isfinite(nodes).all() and torch.isfinite(edges).all()):
        raise ValueError("a cost is not finite")
