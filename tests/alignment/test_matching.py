"""The matching solver against enumeration, and the promises of its docstring."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from osler.alignment.certificate import proven_optima
from osler.alignment.exact import enumerate_matching
from osler.alignment.graphs import nearest_neighbours
from osler.alignment.lawler import Lawler, Walkers, pair_costs
from osler.alignment.matching import Effort, Matching, edge_matrix, match, node_matrix, total_cost
from tests.alignment import brute

Problem = tuple[Tensor, Tensor, Tensor, Tensor]


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def logra(P: int, N: int, *, related: bool, seed: int = 0, dtype: torch.dtype = torch.float64) -> Problem:
    """Costs as LoGra-Med makes them, of two graphs that are unrelated or noisy copies in another order."""
    g = torch.Generator().manual_seed(seed)
    first = unit(torch.randn(P, N, 64, generator=g, dtype=torch.float64))
    second = unit(torch.randn(P, N, 64, generator=g, dtype=torch.float64))
    if related:
        order = torch.rand(P, N, generator=g).argsort(1)
        second = unit(first + second).gather(1, order[..., None].expand(-1, -1, 64))
    source, target = nearest_neighbours(first, 5), nearest_neighbours(second, 5)
    ends = [x.gather(1, e.reshape(P, -1, 1).expand(-1, -1, 64)) for x, e in ((first, source), (second, target))]
    differences = [unit(x[:, 0::2] - x[:, 1::2]) for x in ends]

    def gumbel(like: Tensor) -> Tensor:
        return -0.05 * torch.empty_like(like).exponential_(generator=g).log()

    nodes = first @ second.transpose(1, 2)
    edges = differences[0] @ differences[1].transpose(1, 2)
    nodes, edges = -(nodes + gumbel(nodes) - 0.5), -0.5 * (edges + gumbel(edges) - 0.5)
    return nodes.to(dtype), edges.to(dtype), source, target


def edges_of_density(P: int, N: int, count: int, g: torch.Generator) -> Tensor:
    """`count` directed edges without loops, other ones for every problem."""
    pairs = torch.tensor(list(permutations(range(N), 2)))
    return pairs[torch.rand(P, len(pairs), generator=g).argsort(1)[:, :count]]


def general(P: int, N: int, E: int, F: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Problem:
    """Lawler's problem without any structure, E and F different."""
    g = torch.Generator().manual_seed(seed)
    source, target = edges_of_density(P, N, E, g), edges_of_density(P, N, F, g)
    nodes = torch.randn(P, N, N, generator=g, dtype=torch.float64)
    return nodes.to(dtype), torch.randn(P, E, F, generator=g, dtype=torch.float64).to(dtype), source, target


def koopmans_beckmann(P: int, N: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Problem:
    g = torch.Generator().manual_seed(seed)
    source = edges_of_density(P, N, N * (N - 1), g)
    flow, distance = (torch.rand(P, N * (N - 1), generator=g) for _ in range(2))
    return torch.zeros(P, N, N, dtype=dtype), (flow[:, :, None] * distance[:, None]).to(dtype), source, source


FAMILIES = {
    "related": lambda: logra(200, 8, related=True, dtype=torch.float32),
    "unrelated": lambda: logra(200, 8, related=False, dtype=torch.float32),
    "general": lambda: general(200, 8, 30, 24, dtype=torch.float32),
    "Koopmans-Beckmann": lambda: koopmans_beckmann(200, 8, dtype=torch.float32),
    "seven nodes": lambda: general(200, 7, 20, 42, dtype=torch.float32),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_optimum_in_99_of_100_instances_of_eight_nodes(family: str) -> None:
    problem = FAMILIES[family]()
    best, found = enumerate_matching(*problem), match(*problem)
    assert (found.cost_P > best.cost_P - 1e-4).all()
    assert float((found.cost_P < best.cost_P + 1e-4).float().mean()) >= 0.99


def test_enumeration_is_the_minimum_over_all_permutations() -> None:
    problem = general(6, 5, 9, 12)
    found = enumerate_matching(*problem)
    for k in range(6):
        best, cost = brute.best(*(part[k] for part in problem))
        assert tuple(found.permutation_PN[k].tolist()) == best
        assert float(found.cost_P[k]) == pytest.approx(cost)
    with pytest.raises(ValueError, match="9 nodes"):
        enumerate_matching(*general(1, 9, 4, 4))


def test_costs_and_matrices_agree_with_the_definition() -> None:
    nodes, edges, source, target = general(4, 6, 13, 17)
    permutation = torch.stack([torch.randperm(6, generator=torch.Generator().manual_seed(k)) for k in range(4)])
    cost = total_cost(permutation, nodes, edges, source, target)
    v, q = node_matrix(permutation, torch.float64), edge_matrix(permutation, source, target, torch.float64)
    torch.testing.assert_close(cost, (v * nodes).sum((1, 2)) + (q * edges).sum((1, 2)))
    for k in range(4):
        p = tuple(permutation[k].tolist())
        assert float(cost[k]) == pytest.approx(brute.cost(p, nodes[k], edges[k], source[k], target[k]))
        assert [int(v[k, i].argmax()) for i in range(6)] == list(p)


@pytest.mark.parametrize(("E", "F"), [(13, 17), (30, 30), (1, 5)])
def test_swap_changes_are_differences_of_costs(E: int, F: int) -> None:
    problem = general(3, 6, E, F)
    g = torch.Generator().manual_seed(0)
    permutation = torch.rand(3, 2, 6, generator=g).argsort(-1)
    walkers = Walkers(Lawler(problem[0], pair_costs(problem[1], problem[3], 6), problem[2]), permutation)
    changes = torch.from_numpy(walkers.swap_changes())
    for w in range(2):
        before = total_cost(permutation[:, w], *problem)
        torch.testing.assert_close(walkers.costs()[:, w], before)
        for i, j in permutations(range(6), 2):
            swapped = permutation[:, w].clone()
            swapped[:, [i, j]] = swapped[:, [j, i]]
            torch.testing.assert_close(changes[:, w, i, j], total_cost(swapped, *problem) - before)


@pytest.mark.parametrize("N", [2, 3, 12, 16, 40])
@pytest.mark.parametrize("related", [True, False])
def test_never_worse_than_nodes_alone_and_a_permutation(N: int, related: bool) -> None:
    problem = logra(12, N, related=related, seed=N)
    found = match(*problem)
    assert (found.permutation_PN.sort(1).values == torch.arange(N)).all()
    torch.testing.assert_close(found.cost_P, total_cost(found.permutation_PN, *problem))
    alone = torch.stack([torch.from_numpy(linear_sum_assignment(c)[1]) for c in problem[0].numpy()])
    assert (found.cost_P <= total_cost(alone, *problem) + 1e-9).all()


def test_related_graphs_are_matched_to_their_copies() -> None:
    g = torch.Generator().manual_seed(3)
    nodes, edges, source, target = logra(12, 32, related=True, seed=1)
    order = torch.rand(12, 32, generator=g).argsort(1)
    planted = nodes - 5 * node_matrix(order, torch.float64)
    assert torch.equal(match(planted, edges, source, target).permutation_PN, order)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_relabelling_either_graph_relabels_the_solution(seed: int, N: int) -> None:
    g = torch.Generator().manual_seed(seed)
    nodes, edges, source, target = general(2, N, N * (N - 1) // 2 + 1, N, seed)
    left, right = torch.randperm(N, generator=g), torch.randperm(N, generator=g)
    # node i of the new graphs is node left[i] (right[a]) of the old ones
    moved = nodes[:, left][:, :, right], edges, left.argsort()[source], right.argsort()[target]
    old, new = match(nodes, edges, source, target), match(*moved)
    torch.testing.assert_close(old.cost_P, new.cost_P)
    torch.testing.assert_close(old.cost_P, enumerate_matching(nodes, edges, source, target).cost_P)
    assert torch.equal(new.permutation_PN, right.argsort()[old.permutation_PN[:, left]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.sampled_from([1e-9, 1e-3, 1e6, 1e15]))
def test_the_scale_of_the_costs_does_not_matter(seed: int, N: int, scale: float) -> None:
    problem = general(2, N, N, N + (N > 2), seed, dtype=torch.float32)
    scaled = problem[0] * scale, problem[1] * scale, *problem[2:]
    torch.testing.assert_close(match(*scaled).cost_P / scale, enumerate_matching(*problem).cost_P)


def test_a_problem_does_not_depend_on_its_batch() -> None:
    hard, easy = logra(16, 16, related=False, dtype=torch.float32), logra(4, 16, related=True, dtype=torch.float32)
    mixed = tuple(torch.cat(parts) for parts in zip(hard, easy, strict=True))
    together = match(*mixed)
    for k in range(20):
        alone = match(*(part[k : k + 1] for part in mixed))
        assert torch.equal(alone.permutation_PN[0], together.permutation_PN[k])
        assert torch.equal(alone.cost_P[0], together.cost_P[k])


def test_large_batches_are_cut_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = logra(7, 10, related=False)
    whole = match(*problem)
    monkeypatch.setattr("osler.alignment.matching._LARGEST_TABLE", 2 * 3 * 50 * 100)
    assert torch.equal(match(*problem).permutation_PN, whole.permutation_PN)


def test_deterministic_and_the_global_generators_are_untouched() -> None:
    problem = logra(6, 16, related=False)
    torch.manual_seed(1)
    np.random.seed(1)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = match(*problem)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == before_numpy).all()
    torch.manual_seed(2)
    assert torch.equal(match(*problem).permutation_PN, first.permutation_PN)


def test_inputs_are_left_alone_and_outputs_serve_autograd() -> None:
    problem = logra(3, 8, related=False)
    copies = [part.clone() for part in problem]
    weights = problem[0].clone().requires_grad_()
    found = match(weights, *problem[1:])
    assert not found.cost_P.requires_grad
    (weights * node_matrix(found.permutation_PN, torch.float64)).sum().backward()
    assert weights.grad is not None
    assert all(torch.equal(part, copy) for part, copy in zip(problem, copies, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_precision_of_the_costs_decides_nothing_but_rounding(dtype: torch.dtype) -> None:
    problem = logra(40, 8, related=False)
    rounded = tuple(part.to(dtype) if part.is_floating_point() else part for part in problem)
    exact, found = enumerate_matching(*problem), match(*rounded)
    assert found.cost_P.dtype == torch.float32
    slack = 60 * torch.finfo(dtype).eps  # 8 nodes and at most 40 edge pairs, each of size below 1
    assert (total_cost(found.permutation_PN, *problem) <= exact.cost_P + slack).all()


def test_candidates_are_searched_from_and_never_lost() -> None:
    problem = logra(12, 24, related=False)
    plain = match(*problem)
    strong = match(*problem, effort=Effort(walkers=16, steps=300, relaxation=30))
    assert (strong.cost_P <= plain.cost_P + 1e-9).all()
    assert (strong.cost_P < plain.cost_P - 1e-6).any()
    helped = match(*problem, candidates_PCN=strong.permutation_PN[:, None].repeat(1, 2, 1))
    assert (helped.cost_P <= strong.cost_P + 1e-9).all()


@pytest.mark.parametrize("edge_weight", [0.0, 0.02, 0.1, 1.0])
@pytest.mark.parametrize("N", [3, 7])
def test_a_proof_of_optimality_is_one(N: int, edge_weight: float) -> None:
    E = N * (N - 1) // 2 + 1
    nodes, edges, source, target = general(300, N, E, E, seed=2)
    nodes, edges = torch.cat([nodes, nodes.abs()]), torch.cat([edges, edges.abs()]) * edge_weight
    problem = nodes, edges, source.repeat(2, 1, 1), target.repeat(2, 1, 1)
    pairs = pair_costs(problem[1], problem[3], N)
    permutation, proven = proven_optima(nodes, pairs, problem[2], torch.full((600,), 1e-12, dtype=torch.float64))
    best, cost = enumerate_matching(*problem).cost_P, total_cost(permutation, *problem)
    torch.testing.assert_close(cost[proven], best[proven])
    if edge_weight == 0:
        assert proven.all()
    if edge_weight == 1:
        assert not proven.all()


@pytest.mark.parametrize("N", [8, 16, 32, 64])
def test_well_aligned_graphs_need_no_search(N: int) -> None:
    nodes, edges, source, target = logra(4, N, related=True)
    rounding = torch.full((4,), 1e-12, dtype=torch.float64)
    assert proven_optima(nodes, pair_costs(edges, target, N), source, rounding)[1].all()


def agreement(found: Matching) -> float:
    N = found.permutation_PN.shape[1]
    return float((found.permutation_PN == torch.arange(N)).double().mean())


def test_ties_do_not_favour_the_identity() -> None:
    """SciPy returns the identity on constant costs; here it must be as rare as chance, 1 node in N."""
    N, P = 8, 400
    source, target = (edges_of_density(P, N, 20, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    for value in (0.0, 0.7):
        flat = torch.full((P, N, N), value), torch.full((P, 20, 20), value)
        assert abs(agreement(match(*flat, source, target, effort=Effort(3, 6, 4))) - 1 / N) < 0.03
    none = torch.zeros(P, 0, 2, dtype=torch.long)
    levels = torch.arange(P, dtype=torch.float32)[:, None, None].expand(P, N, N)
    assert abs(agreement(match(levels, torch.zeros(P, 0, 0), none, none)) - 1 / N) < 0.03
    # twin nodes: every row of the node costs is the same, so that nothing tells the sources apart
    rows = torch.rand(P, 1, N, generator=torch.Generator().manual_seed(0)).expand(P, N, N)
    assert abs(agreement(match(rows, torch.zeros(P, 0, 0), none, none)) - 1 / N) < 0.03


def test_unrelated_graphs_agree_with_the_identity_by_chance() -> None:
    assert abs(agreement(match(*logra(300, 8, related=False, dtype=torch.float32))) - 1 / 8) < 0.03


@pytest.mark.parametrize("N", [1, 2, 3])
def test_tiny_graphs(N: int) -> None:
    E = N * (N - 1)
    problem = general(5, N, E, E) if N > 1 else (torch.randn(5, 1, 1), torch.zeros(5, 0, 0), *2 * [empty(5)])
    found = match(*problem)
    torch.testing.assert_close(found.cost_P, enumerate_matching(*problem).cost_P)


def empty(P: int) -> Tensor:
    return torch.zeros(P, 0, 2, dtype=torch.long)


@pytest.mark.parametrize(("E", "F"), [(0, 0), (0, 4), (4, 0)])
def test_without_edge_pairs_it_is_the_assignment(E: int, F: int) -> None:
    nodes, edges, source, target = general(6, 5, max(E, 1), max(F, 1))
    found = match(nodes, edges[:, :E, :F], source[:, :E], target[:, :F])
    for k in range(6):
        rows, columns = linear_sum_assignment(nodes[k].numpy())
        assert float(found.cost_P[k]) == pytest.approx(nodes[k].numpy()[rows, columns].sum())


def test_empty_batch() -> None:
    found = match(torch.zeros(0, 5, 5), torch.zeros(0, 3, 3), *2 * [torch.zeros(0, 3, 2, dtype=torch.long)])
    assert found.permutation_PN.shape == (0, 5)
    assert found.cost_P.shape == (0,)


def test_what_is_no_batch_is_refused() -> None:
    nodes, edges, source, target = general(2, 4, 5, 6)
    loop, twice, outside = source.clone(), source.clone(), source.clone()
    loop[0, 0] = torch.tensor([2, 2])
    twice[1, 3] = twice[1, 2]
    outside[0, 0, 0] = 4
    cases = {
        "node costs have shape": (nodes[:, :3], edges, source, target),
        "edge costs have shape": (nodes, edges.transpose(1, 2), source, target),
        "source edges have shape": (nodes, edges, source[0], target),
        "target edges have shape": (nodes, edges, source, target[:1]),
        "want torch.int64": (nodes, edges, source.int(), target),
        "name nodes from": (nodes, edges, outside, target),
        "a loop": (nodes, edges, loop, target),
        "an edge twice": (nodes, edges, twice, target),
        "node match is not finite": (nodes * torch.inf, edges, source, target),
        "edge match is not finite": (nodes, edges.masked_fill(edges > 1, torch.nan), source, target),
    }
    for reason, problem in cases.items():
        with pytest.raises(ValueError, match=reason):
            match(*problem)
    with pytest.raises(ValueError, match="candidates have shape"):
        match(nodes, edges, source, target, candidates_PCN=torch.zeros(2, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="not a permutation"):
        match(nodes, edges, source, target, candidates_PCN=torch.zeros(2, 1, 4, dtype=torch.long))


def test_constant_costs_and_identical_nodes_give_a_permutation() -> None:
    for N in (2, 5, 16):
        problem = torch.zeros(3, N, N), torch.zeros(3, N, N), *2 * [nearest_neighbours(torch.zeros(3, N, 4), 1)]
        assert (match(*problem).permutation_PN.sort(1).values == torch.arange(N)).all()
