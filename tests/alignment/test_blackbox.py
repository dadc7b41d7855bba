"""Gradients through a matching, against perturbing and enumerating by hand (float64, N <= 6)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from osler.alignment.blackbox import SolverStatistics, matching, matching_loss
from osler.alignment.exact import enumerate_matching
from osler.alignment.graphs import nearest_neighbours
from tests.alignment import brute


def problems(seed: int, *, count: int = 4, n: int = 5, scale: float = 1.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    source, target = (nearest_neighbours(torch.randn(count, n, 3, **draw), 2) for _ in range(2))
    edges = source.shape[1]
    nodes = scale * torch.randn(count, n, n, **draw)
    return [nodes, scale * torch.randn(count, edges, edges, **draw), source, target]


def as_matrices(p: tuple[int, ...], source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    nodes = torch.zeros(len(p), len(p), dtype=torch.float64)
    for i, a in enumerate(p):
        nodes[i, a] = 1
    edges = torch.zeros(len(source), len(target), dtype=torch.float64)
    for e, (i, j) in enumerate(source.tolist()):
        for f, (a, b) in enumerate(target.tolist()):
            edges[e, f] = nodes[i, a] * nodes[j, b]
    return nodes, edges


def test_released_gradient_is_the_difference_of_two_solutions() -> None:
    strength = 7.0
    nodes, edges, source, target = problems(0)
    nodes.requires_grad_()
    edges.requires_grad_()
    v, q = matching(nodes, edges, source, target, strength=strength, solve=enumerate_matching)
    upstream = torch.randn(v.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (v * upstream).sum().backward()
    for k in range(len(nodes)):
        args = nodes[k].detach(), edges[k].detach(), source[k], target[k]
        first = as_matrices(brute.best(*args)[0], source[k], target[k])
        second = as_matrices(
            brute.best(args[0] + strength * upstream[k], args[1], source[k], target[k])[0], source[k], target[k]
        )
        assert torch.equal(v[k].detach(), first[0])
        assert torch.equal(q[k].detach(), first[1])
        torch.testing.assert_close(nodes.grad[k], (second[0] - first[0]) / strength)
        torch.testing.assert_close(edges.grad[k], (second[1] - first[1]) / strength)


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("perturbation", [0.05, 0.4, 3.0])
def test_proportional_gradient_is_the_formula(shortcut: bool, perturbation: float) -> None:
    kappa = 0.3
    nodes, edges, source, target = problems(2, count=12)
    nodes.requires_grad_()
    edges.requires_grad_()
    loss = matching_loss(
        nodes, edges, source, target, perturbation=perturbation, scale=kappa, shortcut=shortcut,
        solve=enumerate_with_candidates,
    )  # fmt: skip
    upstream = torch.linspace(-1, 2, 12, dtype=torch.float64)
    (loss * upstream).sum().backward()
    eye = torch.eye(5, dtype=torch.float64)
    for k in range(12):
        args = nodes[k].detach(), edges[k].detach(), source[k], target[k]
        first = as_matrices(brute.best(*args)[0], source[k], target[k])
        bonus = perturbation * (1 - 2 * eye)
        second = as_matrices(brute.best(args[0] + bonus, *args[1:])[0], source[k], target[k])
        assert float(loss[k].detach()) == pytest.approx(2 - 2 * float((first[0] * eye).sum()) / 5)
        torch.testing.assert_close(nodes.grad[k], upstream[k] * kappa * (second[0] - first[0]))
        torch.testing.assert_close(edges.grad[k], upstream[k] * kappa * (second[1] - first[1]))


def enumerate_with_candidates(*problem: Tensor, candidates_PCN: Tensor | None = None) -> Any:
    return enumerate_matching(*problem)


def gradient(upstream: float, form: str) -> Tensor:
    nodes, edges, source, target = problems(3, count=6)
    nodes.requires_grad_()
    if form == "released":
        from osler.alignment.hamming import hamming

        v, _ = matching(nodes, edges, source, target, strength=80.0, solve=enumerate_matching)
        loss = hamming(v)
    else:
        loss = matching_loss(
            nodes, edges, source, target, perturbation=80 / (6 * 5), scale=6 / 80, solve=enumerate_with_candidates
        )
    (upstream * loss.mean()).backward()
    return nodes.grad


def test_a_weight_scales_the_proportional_gradient_and_not_the_released_one() -> None:
    torch.testing.assert_close(gradient(2.0, "proportional"), 2 * gradient(1.0, "proportional"))
    torch.testing.assert_close(gradient(65536.0, "proportional"), 65536 * gradient(1.0, "proportional"))
    torch.testing.assert_close(gradient(2.0, "released"), gradient(1.0, "released"))
    torch.testing.assert_close(gradient(65536.0, "released"), gradient(1.0, "released"))


def test_at_weight_one_both_have_the_same_gradient() -> None:
    """Six matchings that share a mean: the released perturbation and magnitude (kappa = 6 / lambda)."""
    torch.testing.assert_close(gradient(1.0, "proportional"), gradient(1.0, "released"))


def test_the_shortcut_is_certain_whenever_it_is_taken() -> None:
    """Random problems: leaving out the second solve never changes the gradient, and it does happen."""
    skipped = total = 0
    for seed in range(60):
        grads = []
        statistics = SolverStatistics()
        for shortcut in (True, False):
            nodes, edges, source, target = problems(100 + seed, count=8, scale=0.5)
            nodes.requires_grad_()
            loss = matching_loss(
                nodes, edges, source, target, perturbation=0.5, scale=1.0, shortcut=shortcut,
                solve=enumerate_with_candidates, statistics=statistics if shortcut else None,
            )  # fmt: skip
            loss.sum().backward()
            grads.append(nodes.grad)
        torch.testing.assert_close(*grads)
        skipped, total = skipped + statistics.skipped, total + statistics.problems
    assert total == 480
    assert 0.1 < skipped / total < 0.95


def test_a_correct_matching_has_no_gradient() -> None:
    nodes, edges, source, target = problems(4, count=2)
    nodes = (nodes - 100 * torch.eye(5, dtype=torch.float64)).requires_grad_()
    loss = matching_loss(nodes, edges, source, target, perturbation=1.0, scale=1.0, solve=enumerate_with_candidates)
    assert loss.tolist() == [0, 0]
    loss.sum().backward()
    assert not nodes.grad.any()


def test_the_default_solver_gives_the_gradient_of_the_exact_one() -> None:
    grads = []
    for options in ({"solve": enumerate_with_candidates}, {}):
        nodes, edges, source, target = problems(5, count=20, n=6)
        nodes.requires_grad_()
        matching_loss(nodes, edges, source, target, perturbation=0.3, scale=1.0, **options).sum().backward()
        grads.append(nodes.grad)
    torch.testing.assert_close(*grads)
