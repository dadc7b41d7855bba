"""Nearest neighbours and message passing against plain loops."""

from __future__ import annotations

import pytest
import torch

from osler.alignment.graphs import GraphConvMax, MessagePassing, edge_differences, nearest_neighbours


def brute_neighbours(nodes: torch.Tensor, k: int) -> set[tuple[int, int]]:
    edges = set()
    for i in range(len(nodes)):
        others = [j for j in range(len(nodes)) if j != i]
        others.sort(key=lambda j: (float((nodes[i].double() - nodes[j].double()).norm()), j))
        edges |= {(i, j) for j in others[:k]}
    return edges


@pytest.mark.parametrize(("n", "k"), [(8, 5), (16, 5), (3, 5), (2, 1), (1, 5)])
def test_neighbours_are_those_of_a_plain_search(n: int, k: int) -> None:
    nodes = torch.randn(4, n, 7, generator=torch.Generator().manual_seed(n))
    edges = nearest_neighbours(nodes, k)
    assert edges.shape == (4, n * min(k, n - 1), 2)
    for problem in range(4):
        assert {tuple(edge) for edge in edges[problem].tolist()} == brute_neighbours(nodes[problem], k)


def test_a_common_offset_does_not_change_the_neighbours() -> None:
    nodes = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(nearest_neighbours(nodes, 5), nearest_neighbours(nodes + 1000, 5))


def test_identical_nodes_have_neighbours_and_finite_messages() -> None:
    nodes = torch.ones(1, 6, 4, requires_grad=True)
    edges = nearest_neighbours(nodes, 5)
    assert (edges[..., 0] != edges[..., 1]).all()
    out = MessagePassing(4).eval()(nodes, edges)
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert torch.isfinite(nodes.grad).all()


@pytest.mark.parametrize("direction", ["chosen", "chosen_by"])
def test_graph_convolution_is_its_formula(direction: str) -> None:
    torch.manual_seed(0)
    nodes = torch.randn(3, 9, 5, dtype=torch.float64)
    edges = nearest_neighbours(nodes, 2)
    layer = GraphConvMax(5, direction=direction).double()
    found = layer(nodes, edges)
    alone = 0
    for problem in range(3):
        pairs = edges[problem].tolist()
        for i in range(9):
            senders = [b for a, b in pairs if a == i] if direction == "chosen" else [a for a, b in pairs if b == i]
            message = nodes[problem, senders].max(0).values if senders else torch.zeros(5, dtype=torch.float64)
            alone += not senders
            want = layer.relation.weight @ message + layer.relation.bias + layer.root.weight @ nodes[problem, i]
            torch.testing.assert_close(found[problem, i], want)
    # with nine nodes of two choices each, some node is chosen by nobody: its message is zero
    assert (alone > 0) == (direction == "chosen_by")


def test_message_passing_follows_a_relabelling_of_the_nodes() -> None:
    torch.manual_seed(1)
    nodes = torch.randn(1, 12, 6, dtype=torch.float64)
    network = MessagePassing(6, direction="chosen_by").double().eval()
    order = torch.randperm(12)
    want = network(nodes, nearest_neighbours(nodes, 3))[:, order]
    torch.testing.assert_close(network(nodes[:, order], nearest_neighbours(nodes[:, order], 3)), want)


def test_dropout_comes_from_the_generator() -> None:
    nodes = torch.randn(1, 8, 16)
    edges = nearest_neighbours(nodes, 3)
    network = MessagePassing(16, dropout=0.5).train()
    one, two, other = (network(nodes, edges, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_edge_differences() -> None:
    nodes = torch.tensor([[[1.0, 2.0], [4.0, 8.0]]])
    assert edge_differences(nodes, torch.tensor([[[0, 1], [1, 0]]])).tolist() == [[[-3.0, -6.0], [3.0, 6.0]]]
