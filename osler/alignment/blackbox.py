"""Gradients through a matching: black-box differentiation in two forms.

Both follow Vlastelica et al. 2020 (arXiv 1912.02175): solve, perturb the costs along the upstream gradient, solve
again, and take the difference of the two solutions. With noise in the costs this is implicit maximum likelihood with
one perturb-and-MAP sample (Niepert et al. 2021, arXiv 2106.01798).

- `matching` is the released form. Its gradient has the size 1 / lambda whatever the upstream gradient is, so neither a
  loss weight nor a loss scaler acts on it.
- `matching_loss` gives the Hamming distance to the identity with a gradient proportional to the upstream one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from osler.alignment.hamming import hamming
from osler.alignment.matching import Matching, edge_matrix, match, node_matrix, total_cost

Solver = Callable[..., Matching]


@dataclass
class SolverStatistics:
    """What the solver did, summed over calls; for the log.

    Args:
        problems: matchings whose gradient was asked for.
        skipped: of these, second solves that were left out.
        truths: of these, perturbed solutions equal to the truth.
        seconds: spent in the solver.
    """

    problems: int = 0
    skipped: int = 0
    truths: int = 0
    seconds: float = 0.0


def matching(
    node_cost_PNN: Tensor,
    edge_cost_PEF: Tensor,
    source_edges_PE2: Tensor,
    target_edges_PF2: Tensor,
    *,
    strength: float,
    solve: Solver = match,
    statistics: SolverStatistics | None = None,
) -> tuple[Tensor, Tensor]:
    """Best matching, differentiable as LoGra-Med's released code has it.

    Backward, with G the upstream gradients: (V', Q') solves the costs C^v + lambda G_V and C^e + lambda G_Q, and the
    gradients are (V' - V) / lambda and (Q' - Q) / lambda.

    Args:
        node_cost_PNN: C^v, noise included.
        edge_cost_PEF: C^e, noise included.
        source_edges_PE2: edges of the first graphs.
        target_edges_PF2: edges of the second graphs.
        strength: lambda.
        solve: solver, `match` or an exact one.
        statistics: to add to.

    Returns:
        V (P, N, N) and Q (P, E, F), of zeros and ones.
    """
    statistics = statistics or SolverStatistics()
    result = _ReleasedMatching.apply(
        node_cost_PNN, edge_cost_PEF, source_edges_PE2, target_edges_PF2, strength, solve, statistics
    )
    return result  # type: ignore[no-any-return]


class _ReleasedMatching(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, node_cost: Tensor, edge_cost: Tensor, source: Tensor, target: Tensor, strength: float,
        solve: Solver, statistics: SolverStatistics,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        found = timed(statistics, solve, node_cost, edge_cost, source, target)
        nodes = node_matrix(found.permutation_PN).to(node_cost.dtype)
        edges = edge_matrix(found.permutation_PN, source, target).to(edge_cost.dtype)
        ctx.save_for_backward(node_cost, edge_cost, source, target, nodes, edges)
        ctx.strength, ctx.solve, ctx.statistics = strength, solve, statistics
        return nodes, edges

    @staticmethod
    def backward(ctx: Any, grad_nodes: Tensor, grad_edges: Tensor) -> Any:
        node_cost, edge_cost, source, target, nodes, edges = ctx.saved_tensors
        perturbed = timed(
            ctx.statistics,
            ctx.solve,
            node_cost + ctx.strength * grad_nodes,
            edge_cost + ctx.strength * grad_edges,
            source,
            target,
        )
        again = perturbed.permutation_PN
        ctx.statistics.problems += len(again)
        ctx.statistics.truths += int((again == torch.arange(again.shape[1], device=again.device)).all(1).sum())
        node_gradient = (node_matrix(again).to(nodes.dtype) - nodes) / ctx.strength
        edge_gradient = (edge_matrix(again, source, target).to(edges.dtype) - edges) / ctx.strength
        return node_gradient, edge_gradient, None, None, None, None, None


def matching_loss(
    node_cost_PNN: Tensor,
    edge_cost_PEF: Tensor,
    source_edges_PE2: Tensor,
    target_edges_PF2: Tensor,
    *,
    perturbation: float,
    scale: float,
    shortcut: bool = True,
    solve: Solver = match,
    statistics: SolverStatistics | None = None,
) -> Tensor:
    """Hamming distance of the best matching to the identity, with a gradient proportional to the upstream one.

    With V the best matching and V' the best one after every true match became cheaper, and every other node match
    dearer, by `perturbation`, the gradients are u * scale * (V' - V) and u * scale * (Q' - Q), where u is the upstream
    gradient.

    The shortcut leaves out the second solve where its result is certain. Where V is the truth it stays so, and the
    gradient is zero. Elsewhere let m = cost(truth) - cost(V): every wrong node loses 2 * perturbation against the truth
    and at least two nodes are wrong, so m < 4 * perturbation makes the truth the optimum. With a heuristic solver the
    certificate is as good as the first solve.

    Args:
        node_cost_PNN: C^v, noise included.
        edge_cost_PEF: C^e, noise included.
        source_edges_PE2: edges of the first graphs.
        target_edges_PF2: edges of the second graphs.
        perturbation: delta, per entry of the node costs.
        scale: kappa.
        shortcut: use it.
        solve: solver, `match` or an exact one that takes `candidates_PCN`.
        statistics: to add to.

    Returns:
        (P), between 0 and 2.
    """
    statistics = statistics or SolverStatistics()
    result = _MatchingLoss.apply(
        node_cost_PNN,
        edge_cost_PEF,
        source_edges_PE2,
        target_edges_PF2,
        perturbation,
        scale,
        shortcut,
        solve,
        statistics,
    )
    return result  # type: ignore[no-any-return]


class _MatchingLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, node_cost: Tensor, edge_cost: Tensor, source: Tensor, target: Tensor, perturbation: float,
        scale: float, shortcut: bool, solve: Solver, statistics: SolverStatistics,
    ) -> Tensor:  # fmt: skip
        found = timed(statistics, solve, node_cost, edge_cost, source, target)
        first = found.permutation_PN
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            # V' depends on the costs alone, so it is found here and the backward pass is a multiplication
            again = _perturbed(
                found, node_cost, edge_cost, source, target, perturbation, shortcut, solve, statistics
            )  # fmt: skip
            ctx.save_for_backward(
                (node_matrix(again) - node_matrix(first)).to(node_cost.dtype),
                (edge_matrix(again, source, target) - edge_matrix(first, source, target)).to(edge_cost.dtype),
            )
        ctx.scale = scale
        return hamming(node_matrix(first).to(node_cost.dtype))

    @staticmethod
    def backward(ctx: Any, upstream_P: Tensor) -> Any:
        nodes, edges = ctx.saved_tensors
        factor = (ctx.scale * upstream_P)[:, None, None]
        return factor * nodes, factor * edges, None, None, None, None, None, None, None


def _perturbed(
    found: Matching, node_cost: Tensor, edge_cost: Tensor, source: Tensor, target: Tensor, perturbation: float,
    shortcut: bool, solve: Solver, statistics: SolverStatistics,
) -> Tensor:  # fmt: skip
    P, N = found.permutation_PN.shape
    truth_PN = torch.arange(N, device=node_cost.device).expand(P, N)
    again = truth_PN.clone()
    statistics.problems += P
    todo = torch.ones(P, dtype=torch.bool, device=node_cost.device)
    if shortcut:
        right = (found.permutation_PN == truth_PN).all(1)
        margin = total_cost(truth_PN, node_cost, edge_cost, source, target) - found.cost_P
        todo = ~(right | (margin < 4 * perturbation))
    rows = todo.nonzero()[:, 0]
    statistics.skipped += P - len(rows)
    if len(rows):
        bonus_NN = perturbation * (1 - 2 * torch.eye(N, dtype=node_cost.dtype, device=node_cost.device))
        # here the truth may be a start: the perturbed problem is to be solved well, nothing is measured by it
        candidates = torch.stack([truth_PN[rows], found.permutation_PN[rows]], 1)
        solved = timed(
            statistics, solve, node_cost[rows] + bonus_NN, edge_cost[rows], source[rows], target[rows],
            candidates_PCN=candidates,
        )  # fmt: skip
        again[rows] = solved.permutation_PN
    statistics.truths += int((again == truth_PN).all(1).sum())
    return again


def timed(statistics: SolverStatistics, solve: Solver, *problem: Tensor, **options: Any) -> Matching:
    """Solve and add the seconds to the statistics."""
    began = time.perf_counter()
    result = solve(*(part.detach() for part in problem), **options)
    statistics.seconds += time.perf_counter() - began
    return result
