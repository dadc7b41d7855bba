"""Graphs over a batch: nearest neighbours, and message passing along them.

Shapes: P problems (one graph each), N nodes, D width, E edges of a graph. An edge (i, j) says that i chose j.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Direction = Literal["chosen_by", "chosen"]


def nearest_neighbours(nodes_PND: Tensor, k: int) -> Tensor:
    """Edges from every node to its k nearest others (Euclidean), without self-loops.

    Args:
        nodes_PND: node features.
        k: neighbours of a node; all others where there are fewer than k.

    Returns:
        (P, N * min(k, N - 1), 2) indices (i, j), sorted by i. Among equally near nodes the lower index is taken.
    """
    P, N, _ = nodes_PND.shape
    k = min(k, N - 1)
    if k < 1:
        return torch.zeros(P, 0, 2, dtype=torch.long, device=nodes_PND.device)
    with torch.no_grad():
        points = nodes_PND.detach().to(torch.promote_types(nodes_PND.dtype, torch.float32))
        # centred first: distances do not change, and an offset common to all nodes does not eat the precision
        points = points - points.mean(1, keepdim=True)
        distance_PNN = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
        distance_PNN.diagonal(dim1=1, dim2=2).fill_(float("inf"))
        chosen_PNk = distance_PNN.argsort(dim=-1, stable=True)[..., :k]
    source_PNk = torch.arange(N, device=points.device)[None, :, None].expand(P, N, k)
    return torch.stack([source_PNk, chosen_PNk], -1).reshape(P, N * k, 2)


def edge_differences(nodes_PND: Tensor, edges_PE2: Tensor) -> Tensor:
    """Feature of each edge, e_ij = x_i - x_j (LoGra-Med's released code; LVM-Med, arXiv 2306.11925, section 3.3).

    Returns:
        (P, E, D).
    """
    start, end = edges_PE2.unbind(-1)
    return _rows(nodes_PND, start) - _rows(nodes_PND, end)


def _rows(nodes_PND: Tensor, index_PE: Tensor) -> Tensor:
    return nodes_PND.gather(1, index_PE[..., None].expand(-1, -1, nodes_PND.shape[-1]))


class GraphConvMax(nn.Module):
    """Graph convolution with maximum aggregation (Morris et al. 2019, arXiv 1810.02244, as LoGra-Med uses it).

    GraphConv(x)_i = W_rel max_{j in N(i)} x_j + b + W_root x_i, where a node without neighbours gets a zero message.

    Args:
        width: D, in and out.
        direction: whose features reach i: "chosen_by", of the nodes that chose i (what the released code does, since
            it builds its neighbours one way and reads them the other), or "chosen", of the nodes that i chose.
    """

    def __init__(self, width: int, *, direction: Direction) -> None:
        super().__init__()
        self.direction = direction
        self.relation = nn.Linear(width, width)
        self.root = nn.Linear(width, width, bias=False)

    def forward(self, nodes_PND: Tensor, edges_PE2: Tensor) -> Tensor:
        """Map (P, N, D) to (P, N, D)."""
        start, end = edges_PE2.unbind(-1)
        sender, receiver = (start, end) if self.direction == "chosen_by" else (end, start)
        message_PND = torch.zeros_like(nodes_PND).scatter_reduce(
            1,
            receiver[..., None].expand(-1, -1, nodes_PND.shape[-1]),
            _rows(nodes_PND, sender),
            "amax",
            include_self=False,
        )
        return self.relation(message_PND) + self.root(nodes_PND)


class MessagePassing(nn.Module):
    """GraphConv, ReLU, ..., dropout: LoGra-Med's network, shared by all graphs and dropped after training.

    Args:
        width: D.
        layers: number of graph convolutions; 0 passes nodes through unchanged.
        dropout: share of features set to zero at the end, while training.
        direction: of the messages, see `GraphConvMax`.
    """

    def __init__(self, width: int, *, layers: int = 2, dropout: float = 0.1, direction: Direction = "chosen") -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(GraphConvMax(width, direction=direction) for _ in range(layers))
        self.dropout = dropout

    def forward(self, nodes_PND: Tensor, edges_PE2: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Map (P, N, D) to (P, N, D).

        Args:
            nodes_PND: features of P graphs.
            edges_PE2: their edges.
            generator: draws the dropout, so that all devices that see the same nodes drop the same features.
        """
        for convolution in self.convolutions:
            nodes_PND = torch.relu(convolution(nodes_PND, edges_PE2))
        if self.training and self.dropout and len(self.convolutions):
            keep = torch.empty_like(nodes_PND).bernoulli_(1 - self.dropout, generator=generator)
            nodes_PND = nodes_PND * keep / (1 - self.dropout)
        return nodes_PND
