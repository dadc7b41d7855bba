"""Robust tabu search for a batch of quadratic assignment problems, several starts of each side by side.

After Taillard 1991 ("Robust taboo search for the quadratic assignment problem"): in every step the best swap of two
nodes' targets is made, better or worse, unless it would bring both nodes back to where they were a short while ago. All
problems and starts take the same number of steps, so the search is a sequence of small tensor operations without a
branch, on any device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Search(NamedTuple):
    """Effort of a search.

    Args:
        starts: starting permutations of each problem.
        steps: swaps made from each start.
        relaxation: Frank-Wolfe steps towards one of the starts.
    """

    starts: int
    steps: int
    relaxation: int


def effort(nodes: int) -> Search:
    """The one setting for speed and quality, by the number of nodes (measured by benchmarks/matching.py).

    Small problems need many starts and no relaxation; in large ones a search sees little of the space, and where it
    starts matters.
    """
    return Search(
        starts=min(32, max(5, 2048 // nodes**2)),
        steps=max(48, 3 * nodes),
        relaxation=0 if nodes <= 16 else 30,
    )


def quadratic_form(edge_cost_PEF: Tensor, source_PE2: Tensor, target_PF2: Tensor, nodes: int) -> Tensor:
    """The symmetric matrix K with sum_ef C^e_ef V_ia V_jb = V K V / 2, rows and columns numbered i * N + a.

    Returns:
        (P, N * N, N * N).
    """
    P, N = edge_cost_PEF.shape[0], nodes
    i, j = source_PE2[:, :, None].unbind(-1)
    a, b = target_PF2[:, None, :].unbind(-1)
    row, column = (i * N + a).flatten(1), (j * N + b).flatten(1)
    flat = edge_cost_PEF.new_zeros(P, N**4)
    values = edge_cost_PEF.flatten(1)
    flat.scatter_add_(1, row * N**2 + column, values)
    flat.scatter_add_(1, column * N**2 + row, values)
    return flat.view(P, N**2, N**2)


def tabu_search(node_cost_PNN: Tensor, form_PMM: Tensor, starts_PSN: Tensor, *, steps: int) -> tuple[Tensor, Tensor]:
    """Improve permutations by tabu search.

    Args:
        node_cost_PNN: linear costs.
        form_PMM: quadratic costs, from `quadratic_form`.
        starts_PSN: S starts of each of P problems.
        steps: swaps from each start.

    Returns:
        The best permutation met in each search (P, S, N), and its cost (P, S).
    """
    P, S, N = starts_PSN.shape
    device, B = starts_PSN.device, P * S
    form = form_PMM.reshape(P * N * N, N * N)
    values = form.view(-1)
    problem_B = torch.arange(P, device=device).repeat_interleave(S)
    row_of_B = problem_B * (N * N)
    everyone = torch.arange(B, device=device)
    i_K, j_K = torch.triu_indices(N, N, 1, device=device)
    pair_K = i_K * N**3 + j_K * N
    p = starts_PSN.reshape(B, N).clone()
    steps_N = torch.arange(N, device=device) * N
    # gradient of the cost at p: what node i would pay at target a if nobody else moved
    gradient = node_cost_PNN.flatten(1)[problem_B]
    for node in range(N):
        gradient += form[row_of_B + node * N + p[:, node]]
    linear = node_cost_PNN.flatten(1)[problem_B].gather(1, steps_N + p).sum(1)
    cost = (linear + gradient.gather(1, steps_N + p).sum(1)) / 2
    best, best_p = cost.clone(), p.clone()
    forbidden = torch.zeros(B, N * N, dtype=torch.int32, device=device)
    tenures = _tenures(N, steps)
    for step in range(steps):
        at_i, at_j = p[:, i_K], p[:, j_K]
        to_j, to_i = i_K * N + at_j, j_K * N + at_i  # i goes to the target of j, and the reverse
        stay = gradient.gather(1, steps_N + p)
        base = row_of_B[:, None] * (N * N) + pair_K
        coupling = values[base + at_j * N**2 + at_i] + values[base + at_i * N**2 + at_j]
        change = gradient.gather(1, to_j) + gradient.gather(1, to_i) - stay[:, i_K] - stay[:, j_K] + coupling
        tabu = torch.minimum(forbidden.gather(1, to_j), forbidden.gather(1, to_i)) > step
        tabu &= cost[:, None] + change >= best[:, None] - 1e-6  # a new best is always welcome
        move = torch.where(tabu, change + 1e6, change).argmin(1)
        i, j = i_K[move], j_K[move]
        a, b = p[everyone, i], p[everyone, j]
        cost = cost + change[everyone, move]
        first, second = tenures[step]
        forbidden[everyone, i * N + a] = step + first
        forbidden[everyone, j * N + b] = step + second
        p[everyone, i], p[everyone, j] = b, a
        gradient += form[row_of_B + i * N + b] + form[row_of_B + j * N + a]
        gradient -= form[row_of_B + i * N + a] + form[row_of_B + j * N + b]
        better = cost < best
        best = torch.where(better, cost, best)
        best_p = torch.where(better[:, None], p, best_p)
    return best_p.view(P, S, N), best.view(P, S)


def _tenures(nodes: int, steps: int) -> list[list[int]]:
    """How long the two places that a swap leaves are forbidden: random, but always the same."""
    generator = torch.Generator().manual_seed(nodes)
    low, high = max(2, nodes // 2), max(4, 2 * nodes)
    return torch.randint(low, high + 1, (steps, 2), generator=generator).tolist()  # type: ignore[no-any-return]
