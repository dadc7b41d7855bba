"""Multi-graph alignment of LoGra-Med (arXiv 2410.02615): match each modality's graph, count wrong nodes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from osler.alignment.affinities import edge_costs, gumbel, node_costs
from osler.alignment.barycenter import Barycenter, GraphPairs, graph_pairs
from osler.alignment.blackbox import Solver, SolverStatistics, matching, matching_loss, timed
from osler.alignment.graphs import MessagePassing, edge_differences, nearest_neighbours
from osler.alignment.hamming import hamming
from osler.alignment.matching import match, node_matrix
from osler.alignment.settings import AlignmentSettings


class GraphAlignment(nn.Module):
    """Mean Hamming distance of the matchings between modalities, with a black-box gradient.

    The message passing is the only part with weights; it serves the loss and is dropped after training.

    Args:
        width: D of the nodes.
        settings: every switch.
        solve: solver; an exact one in tests.
    """

    def __init__(self, width: int, settings: AlignmentSettings, *, solve: Solver = match) -> None:
        super().__init__()
        self.settings, self.solve = settings, solve
        self.messages = MessagePassing(
            width,
            layers=settings.message_layers,
            dropout=settings.message_dropout,
            direction=settings.messages,
        )
        self.statistics = SolverStatistics()

    def forward(self, nodes_KND: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            nodes_KND: N records in K modalities, row b of each belonging to record b.
            generator: draws noise and dropout.

        Returns:
            Scalar between 0 and 2; chance is 2(1 - 1/n) for graphs of n nodes.
        """
        self.statistics = SolverStatistics()
        total: Tensor = nodes_KND.new_zeros(())
        problems = 0
        for graphs_KGnD in cut_into_graphs(nodes_KND, self.settings.graph_size):
            distances = self._match(graphs_KGnD, generator)
            total, problems = total + distances.sum(), problems + distances.numel()
        return total / problems

    def _match(self, graphs_KGnD: Tensor, generator: torch.Generator | None) -> Tensor:
        """Hamming distances (S * P * G) of graphs of one size."""
        settings = self.settings
        K, G, n, D = graphs_KGnD.shape
        # pair the modalities graph by graph, then treat (pair, graph) as one list of problems
        pairs = graph_pairs(
            graphs_KGnD.reshape(K, G * n, D), settings.barycenter, detach_target=settings.detach_target
        )  # fmt: skip
        P, S = len(pairs.source_PND), settings.samples
        source, target = (part.reshape(P * G, n, D) for part in pairs)
        source_edges = nearest_neighbours(source, settings.neighbours)
        target_edges = (
            source_edges if settings.topology == "copied" else nearest_neighbours(target, settings.neighbours)
        )
        source = self.messages(source, source_edges, generator)
        target = self.messages(target, target_edges, generator)
        E = source_edges.shape[1]
        # one g for all matchings of a graph and a fresh g' for each, as in the released code
        g = gumbel((S, 1, G, n, n), settings.node_noise, like=source, generator=generator)
        g = g.expand(S, P, G, n, n).reshape(S, P * G, n, n)
        g_edges = gumbel((S, P * G, E, E), settings.edge_noise, like=source, generator=generator)
        node_cost = node_costs(source, target, g).flatten(0, 1)
        edge_cost = edge_costs(
            edge_differences(source, source_edges),
            edge_differences(target, target_edges),
            g_edges,
            floor=settings.edge_floor,
        ).flatten(0, 1)  # fmt: skip
        edges = (source_edges.repeat(S, 1, 1), target_edges.repeat(S, 1, 1))
        if settings.gradient == "released":
            nodes, _ = matching(
                node_cost, edge_cost, *edges, strength=settings.strength, solve=self.solve, statistics=self.statistics
            )
            return hamming(nodes)
        return matching_loss(
            node_cost,
            edge_cost,
            *edges,
            # the released perturbation and magnitude at weight 1, where P matchings share a gradient of 1 / P each
            perturbation=settings.strength / (P * n),
            scale=P / settings.strength,
            shortcut=settings.shortcut,
            solve=self.solve,
            statistics=self.statistics,
        )


def cut_into_graphs(nodes_KND: Tensor, size: int | None) -> list[Tensor]:
    """Deal a batch out to graphs of about `size` records; their sizes differ by at most one.

    Like cards, not in blocks: gathered rows come device by device, and each graph shall hold rows of all of them.

    Returns:
        One tensor (K, G, n, D) for each size n that occurs.
    """
    count = 1 if size is None else max(1, math.floor(nodes_KND.shape[1] / size + 0.5))
    by_size: dict[int, list[Tensor]] = {}
    for part in (nodes_KND[:, first::count] for first in range(count)):
        by_size.setdefault(part.shape[1], []).append(part)
    return [torch.stack(parts, 1) for parts in by_size.values()]


def plain_hamming(
    nodes_KND: Tensor,
    kind: Barycenter,
    *,
    neighbours: int = 5,
    solve: Solver = match,
    statistics: SolverStatistics | None = None,
) -> Tensor:
    """Hamming distance without message passing and noise: a measurement that means the same for every objective.

    Args:
        nodes_KND: centred nodes of unit length.
        kind: of the pairing; a self-inclusive barycenter would make it small for unrelated modalities.
        neighbours: k.
        solve: solver.
        statistics: to add the solver's seconds to.

    Returns:
        Mean over the matchings, between 0 and 2.
    """
    with torch.no_grad():
        pairs: GraphPairs = graph_pairs(nodes_KND, kind)
        edges = [nearest_neighbours(part, neighbours) for part in pairs]
        features = [edge_differences(part, edge) for part, edge in zip(pairs, edges, strict=True)]
        found = timed(
            statistics or SolverStatistics(), solve, node_costs(*pairs), edge_costs(*features, floor=0.1), *edges
        )
        return hamming(node_matrix(found.permutation_PN).float()).mean()
