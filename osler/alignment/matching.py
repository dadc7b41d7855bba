"""Second-order graph matching (Lawler's quadratic assignment) for batches of small problems.

    minimise   sum_ia C^v_ia V_ia  +  sum over e = (i, j) in E1, f = (a, b) in E2 of  C^e_ef V_ia V_jb

over permutations V. LoGra-Med's release solves it with LPMP, a C++ package. Here a lower bound proves the optimum of
well aligned graphs, and a tabu search, started from Frank-Wolfe among others, takes the rest. That is a heuristic;
benchmarks/matching.py measures it against exact enumeration and other solvers.

Shapes: P problems, N nodes, E and F edges, C candidates, W walkers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from osler.alignment.assignment import assign
from osler.alignment.certificate import proven_optima
from osler.alignment.frank_wolfe import frank_wolfe
from osler.alignment.lawler import Lawler, pair_costs
from osler.alignment.noise import content_seeds, noise
from osler.alignment.tabu import Integers, tabu_search

_LARGEST_TABLE = 2**22
"""Numbers in the tables of costs that are held at once (16 MiB in float32); larger batches are cut."""


class Matching(NamedTuple):
    """Best permutations found.

    Args:
        permutation_PN: target node of each source node, int64.
        cost_P: their cost.
    """

    permutation_PN: Tensor
    cost_P: Tensor


class Effort(NamedTuple):
    """How long to search.

    Args:
        walkers: of the tabu search, for each problem; candidates come on top.
        steps: of each walker.
        relaxation: most Frank-Wolfe steps.
    """

    walkers: int
    steps: int
    relaxation: int


def default_effort(nodes: int) -> Effort:
    """The one setting for speed and quality, chosen by benchmarks/matching.py.

    At eight nodes many short walks find the optimum practically always; from 16 nodes on, few long ones are better, and
    in large problems, of which a search sees little, it matters most where it starts.
    """
    return Effort(
        walkers=max(3, min(32, 16_000 // nodes**3)),
        steps=max(40, 5 * nodes // 2),
        relaxation=12 if nodes <= 16 else 30,
    )


@torch.no_grad()
def match(
    node_cost_PNN: Tensor,
    edge_cost_PEF: Tensor,
    source_edges_PE2: Tensor,
    target_edges_PF2: Tensor,
    *,
    candidates_PCN: Tensor | None = None,
    effort: Effort | None = None,
) -> Matching:
    """Solve a batch of problems.

    Deterministic, independent of what else is in the batch and of torch's random state, and never worse than the best
    assignment by node costs alone or than a candidate. Nothing favours the identity, the truth in training: the targets
    of each problem are relabelled by a permutation hashed from the problem, so that ties fall anywhere.

    Args:
        node_cost_PNN: C^v.
        edge_cost_PEF: C^e.
        source_edges_PE2: directed edges (i, j) of the first graphs, without loops and repetitions.
        target_edges_PF2: edges (a, b) of the second graphs, the same.
        candidates_PCN: further permutations to start from.
        effort: `default_effort` unless given.

    Returns:
        The permutations, on the device of the costs.

    Raises:
        ValueError: when shapes do not fit, edges are not as described, a candidate is no permutation, or a cost is not
            finite.
    """
    dtype = torch.promote_types(torch.promote_types(node_cost_PNN.dtype, edge_cost_PEF.dtype), torch.float32)
    nodes, edges = node_cost_PNN.to("cpu", dtype), edge_cost_PEF.to("cpu", dtype)
    source, target = source_edges_PE2.cpu(), target_edges_PF2.cpu()
    check(nodes, edges, source, target)
    P, N, _ = nodes.shape
    E = edges.shape[1]
    parts = [nodes, edges, source, target]
    if candidates_PCN is not None:
        parts.append(candidates_PCN.cpu())
        _check_candidates(parts[-1], P, N)
    found_PN = torch.empty(P, N, dtype=torch.long)
    size = max(1, _LARGEST_TABLE // (3 * max(1, E) * N * N))
    for first in range(0, P, size):
        rows = slice(first, first + size)
        found_PN[rows] = _solve(*(part[rows] for part in parts), effort=effort or default_effort(N))
    permutation_PN = found_PN.to(node_cost_PNN.device)
    cost_P = total_cost(permutation_PN, node_cost_PNN, edge_cost_PEF, source_edges_PE2, target_edges_PF2)
    return Matching(permutation_PN, cost_P)


@torch.inference_mode()  # 8 % faster than no_grad: thousands of views
def _solve(
    nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor, candidates: Tensor | None = None, *, effort: Effort
) -> Tensor:
    """Relabel the targets, solve, and put the old labels back."""
    P, N, _ = nodes.shape
    label_PN = torch.from_numpy(noise(content_seeds(nodes, source, target), N).argsort(1))
    place_PN = label_PN.argsort(1)
    nodes = nodes.gather(2, label_PN[:, None].expand(P, N, N))
    target = place_PN.gather(1, target.reshape(P, -1)).view_as(target)
    if candidates is not None:
        candidates = place_PN[:, None].expand_as(candidates).gather(2, candidates)
    return label_PN.gather(1, _solve_relabelled(nodes, edges, source, target, candidates, effort))


def _solve_relabelled(
    nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor, candidates: Tensor | None, effort: Effort
) -> Tensor:
    P, E, F = edges.shape
    if nodes.shape[1] == 1 or E == 0 or F == 0:
        return assign(nodes)  # without pairs of edges the assignment is the answer
    pairs = pair_costs(edges, target, nodes.shape[1])
    size_P = torch.maximum(nodes.abs().amax((1, 2)), edges.abs().amax((1, 2)))
    rounding_P = 8 * nodes.shape[1] * torch.finfo(nodes.dtype).eps * size_P
    result_PN, proven_P = proven_optima(nodes, pairs, source, rounding_P)
    rows = (~proven_P).nonzero()[:, 0]
    if len(rows):
        if len(rows) < P:
            nodes, pairs, source, rounding_P = nodes[rows], pairs[rows], source[rows], rounding_P[rows]
        starts = [result_PN[rows, None], assign(nodes)[:, None]]
        if candidates is not None:
            starts.append(candidates[rows])
        result_PN[rows] = _search(Lawler(nodes, pairs, source), torch.cat(starts, 1), rounding_P, effort)
    return result_PN


def _search(problems: Lawler, starts_PSN: Tensor, rounding_P: Tensor, effort: Effort) -> Tensor:
    """Best of a tabu search from the given permutations, Frank-Wolfe's, and random ones."""
    P, _, N = starts_PSN.shape
    relaxed_P1N = frank_wolfe(problems, iterations=effort.relaxation)[:, None]
    starts_PSN = torch.cat([relaxed_P1N, starts_PSN], 1)
    S = starts_PSN.shape[1]
    random_WN, tenures_T2W = _plan(N, max(0, effort.walkers - 3), S, effort.steps)
    starts_PWN = torch.cat([starts_PSN, random_WN.expand(P, -1, -1)], 1)
    permutation_PWN, cost_PW = tabu_search(problems, starts_PWN, tenures_T2W, rounding_P)
    return permutation_PWN[torch.arange(P), cost_PW.argmin(1)]


@lru_cache(maxsize=64)
def _plan(nodes: int, random: int, others: int, steps: int) -> tuple[Tensor, Integers]:
    """Random starts (W, N) and tenures of all walkers, the same for all problems: their labels are random already."""
    draw = np.random.default_rng(nodes)
    starts = draw.permuted(np.tile(np.arange(nodes), (random, 1)), axis=1)
    low, high = max(2, nodes // 2), max(4, min(2 * nodes, nodes + 8))
    tenures = draw.integers(low, high + 1, (steps, 2, others + random))
    return torch.from_numpy(starts), tenures


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
    """Refuse a batch that is not one.

    Raises:
        ValueError: names the part.
    """
    if nodes.dim() != 3 or nodes.shape[1] != nodes.shape[2] or nodes.shape[1] < 1:
        raise ValueError(f"node costs have shape {tuple(nodes.shape)}; want (problems, nodes, nodes)")
    P, N, _ = nodes.shape
    for name, part in (("source", source), ("target", target)):
        if part.dim() != 3 or part.shape[0] != P or part.shape[2] != 2:
            raise ValueError(f"{name} edges have shape {tuple(part.shape)}; want ({P}, edges, 2)")
        if part.dtype != torch.long:
            raise ValueError(f"{name} edges are {part.dtype}; want torch.int64")
        if not part.numel():
            continue
        low, high = (int(end) for end in part.aminmax())
        if low < 0 or high >= N:
            raise ValueError(f"{name} edges name nodes from {low} to {high}; there are {N}")
        present = torch.zeros(P, N * N, device=part.device).scatter_(1, part[..., 0] * N + part[..., 1], 1)
        if present[:, :: N + 1].any():
            raise ValueError(f"{name} edges hold a loop")
        if int(present.sum()) != P * part.shape[1]:
            raise ValueError(f"{name} edges hold an edge twice")
    want = (P, source.shape[1], target.shape[1])
    if tuple(edges.shape) != want:
        raise ValueError(f"edge costs have shape {tuple(edges.shape)}; the edge lists want {want}")
    for name, part in (("node", nodes), ("edge", edges)):
        if part.numel() and not all(end.isfinite() for end in part.aminmax()):
            raise ValueError(f"a cost of a {name} match is not finite")


def _check_candidates(candidates_PCN: Tensor, P: int, N: int) -> None:
    shape = tuple(candidates_PCN.shape)
    if len(shape) != 3 or (shape[0], shape[2]) != (P, N):
        raise ValueError(f"candidates have shape {shape}; want ({P}, candidates, {N})")
    if not (candidates_PCN.sort(2).values == torch.arange(N, device=candidates_PCN.device)).all():
        raise ValueError("a candidate is not a permutation")
