"""Costs as the specification's formulas have them."""

from __future__ import annotations

import math

import pytest
import torch

from osler.alignment.affinities import edge_costs, gumbel, node_costs
from osler.alignment.barycenter import graph_pairs
from osler.alignment.hamming import hamming


def test_costs_are_the_formulas() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 4, 5, dtype=torch.float64), torch.randn(2, 4, 5, dtype=torch.float64)
    g = torch.randn(2, 4, 4, dtype=torch.float64)
    nodes, edges = node_costs(x, y, g), edge_costs(x, y, g)
    for p in range(2):
        for i in range(4):
            for a in range(4):
                cosine = torch.cosine_similarity(x[p, i], y[p, a], dim=0)
                assert nodes[p, i, a] == pytest.approx(float(-(cosine + g[p, i, a] - 0.5)))
                assert edges[p, i, a] == pytest.approx(float(-0.5 * (cosine + g[p, i, a] - 0.5)))


def test_identical_nodes_make_finite_costs() -> None:
    assert torch.isfinite(edge_costs(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2))).all()


def test_gumbel_noise_has_the_distribution_of_its_scale() -> None:
    noise = gumbel((200_000,), 0.05, like=torch.zeros(1), generator=torch.Generator().manual_seed(0))
    assert float(noise.mean()) == pytest.approx(0.05 * 0.5772, abs=5e-4)
    assert float(noise.std()) == pytest.approx(0.05 * math.pi / math.sqrt(6), abs=5e-4)
    assert gumbel((3,), 0, like=torch.zeros(1)).tolist() == [0, 0, 0]


def test_hamming_counts_wrong_nodes_twice() -> None:
    eye = torch.eye(4)
    swapped = eye[[1, 0, 2, 3]]
    derangement = eye[[1, 2, 3, 0]]
    assert hamming(torch.stack([eye, swapped, derangement])).tolist() == [0, 1, 2]
    assert float(hamming(swapped[None], swapped[None])) == 0


def test_a_random_matching_has_the_hamming_distance_of_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    for n, chance in ((8, 1.75), (16, 1.875)):
        permutations = [torch.eye(n)[torch.randperm(n, generator=generator)] for _ in range(4000)]
        assert float(hamming(torch.stack(permutations)).mean()) == pytest.approx(chance, abs=0.02)


def test_pairs_of_three_modalities() -> None:
    a, b, c = (torch.full((2, 1), value) for value in (3.0, 6.0, 12.0))
    inclusive = graph_pairs([a, b, c], "inclusive")
    assert inclusive.source_PND[:, 0, 0].tolist() == [3, 6, 12, 7, 7, 7]
    assert inclusive.target_PND[:, 0, 0].tolist() == [7, 7, 7, 3, 6, 12]
    others = graph_pairs([a, b, c], "leave_one_out")
    assert others.target_PND[:3, 0, 0].tolist() == [9, 7.5, 4.5]
    pairwise = graph_pairs([a, b, c], "pairwise")
    assert pairwise.source_PND[:, 0, 0].tolist() == [3, 3, 6, 6, 12, 12]
    assert pairwise.target_PND[:, 0, 0].tolist() == [6, 12, 12, 3, 3, 6]


@pytest.mark.parametrize("kind", ["leave_one_out", "pairwise"])
def test_two_modalities_are_matched_with_each_other(kind: str) -> None:
    a, b = torch.zeros(3, 2), torch.ones(3, 2)
    pairs = graph_pairs([a, b], kind)
    assert {float(s.mean()) != float(t.mean()) for s, t in zip(*pairs, strict=True)} == {True}


@pytest.mark.parametrize(("detach", "reaches"), [(True, False), (False, True)])
def test_a_detached_target_gets_no_gradient(detach: bool, reaches: bool) -> None:
    a, b = torch.randn(3, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    graph_pairs([a, b], "leave_one_out", detach_target=detach).target_PND[:2].sum().backward()
    assert bool(a.grad.abs().sum() > 0) == reaches
    assert bool(b.grad.abs().sum() > 0) == reaches


def test_one_modality_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        graph_pairs([torch.zeros(2, 2)], "inclusive")
