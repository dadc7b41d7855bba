"""Lawler's quadratic assignment objective of a batch of problems, evaluated at many permutations at once.

    cost(p) = sum_i C_{i, p(i)}  +  sum of D_{e, f} over the edges e = (i, j) and f = (p(i), p(j))

Shapes: P problems, W permutations (walkers) of each, N nodes, E and F edges.

A solver needs one quantity, the gradient G_{k, c}(p): what k would pay at place c if all others stayed. An edge (i, j)
adds to the gradient of j as long as i is where it is, and the other way round: two half-edges. The table holds, for
each half-edge and each place of its sender, the row of costs over the places of its receiver. A gradient is then a sum
of 2E + N rows of N numbers, which torch computes in one fused call. The table has 2 E N^2 numbers (10 MB a problem at
N = 64 with five neighbours, where the matrix of all quadratic costs would need N^4, 67 MB).

Everything is on the CPU: the problems are small, a step of a search takes about as long as starting one GPU kernel, and
the assignments are solved there anyway.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def pair_costs(edge_cost_PEF: Tensor, target_edges_PF2: Tensor, nodes: int) -> Tensor:
    """Costs (P, E, N, N) of each edge (i, j) with i at a and j at b: D where (a, b) is an edge, else 0."""
    P, E, F = edge_cost_PEF.shape
    result_PEM = edge_cost_PEF.new_zeros(P, E, nodes * nodes)
    number_PF = target_edges_PF2[..., 0] * nodes + target_edges_PF2[..., 1]
    result_PEM.scatter_(2, number_PF[:, None].expand(P, E, F), edge_cost_PEF)
    return result_PEM.view(P, E, nodes, nodes)


class Lawler:
    """A batch of problems, prepared for evaluation.

    Args:
        node_cost_PNN: C, float32 or float64, on the CPU.
        pair_cost_PENN: from `pair_costs`, of the same type.
        source_edges_PE2: edges of the first graphs, without loops and repetitions.
    """

    def __init__(self, node_cost_PNN: Tensor, pair_cost_PENN: Tensor, source_edges_PE2: Tensor) -> None:
        P, E, N, _ = pair_cost_PENN.shape
        self.P, self.N, self.E = P, N, E
        self.node_cost_PNN = node_cost_PNN
        start_PE, end_PE = source_edges_PE2.unbind(-1)
        # half-edges 0..E-1 go from start to end, E..2E-1 from end to start; the node costs stand last
        table_PXNN = node_cost_PNN.new_empty(P, 2 * E + 1, N, N)
        table_PXNN[:, :E] = pair_cost_PENN
        table_PXNN[:, E : 2 * E] = pair_cost_PENN.transpose(2, 3)
        table_PXNN[:, 2 * E] = node_cost_PNN
        self.table_XN = table_PXNN.view(-1, N)

        everyone_PN = torch.arange(N).expand(P, N)
        receiver_PH, self.order_PH = torch.cat([end_PE, start_PE, everyone_PN], 1).sort(dim=1, stable=True)
        # the row of node costs has no sender: it reads a column of places that is always 0, see Walkers
        sender_PH = torch.cat([start_PE, end_PE, torch.full((P, N), N)], 1)
        row_H = torch.cat([torch.arange(2 * E) * N, torch.arange(N) + 2 * E * N])
        problem_P1 = torch.arange(P)[:, None]
        self.sender_PH = sender_PH.gather(1, self.order_PH)
        self.row_PH = row_H[self.order_PH] + problem_P1 * (2 * E + 1) * N
        self.first_PN = torch.searchsorted(receiver_PH, everyone_PN.contiguous())
        self.start_PE, self.end_PE = start_PE, end_PE
        self.block_PE = (problem_P1 * E + torch.arange(E)) * (N * N)

    @cached_property
    def between_X(self) -> npt.NDArray[np.floating]:
        """For each edge, what it costs at places (a, b) plus what it costs at (b, a): (P * E * N * N)."""
        table_PX = self.table_XN.view(self.P, -1)
        size = self.E * self.N**2
        return (table_PX[:, :size] + table_PX[:, size : 2 * size]).view(-1).numpy()

    def gradient_at_centre(self) -> Tensor:
        """Gradient (P, N, N) at the matrix whose entries are all 1 / N."""
        P, N, E = self.P, self.N, self.E
        rows_PHN = self.table_XN.view(P, -1, N)
        mean_PEN = rows_PHN[:, : 2 * E * N].reshape(P, 2 * E, N, N).mean(2)
        rows_PHN = torch.cat([mean_PEN, rows_PHN[:, 2 * E * N :]], 1)
        H = 2 * E + N
        rows = (self.order_PH + torch.arange(P)[:, None] * H).view(-1)
        bags = (self.first_PN + torch.arange(P)[:, None] * H).view(-1)
        return torch.embedding_bag(rows_PHN.view(-1, N), rows, bags, False, 0)[0].view(P, N, N)


class Walkers:
    """W permutations of each problem, and the costs around them.

    Args:
        problems: the problems.
        permutation_PWN: where the walkers start; later steps write to `places_PWN`.
    """

    def __init__(self, problems: Lawler, permutation_PWN: Tensor) -> None:
        self.problems = problems
        self.shape = P, W, N = permutation_PWN.shape
        E = problems.E
        H = 2 * E + N
        self.padded_PWM = torch.zeros(P, W, N + 1, dtype=torch.long)
        """The permutations and a column of zeros."""
        self.places_PWN = self.padded_PWM[..., :N]
        self.places_PWN.copy_(permutation_PWN)
        self.columns_PWNN = self.places_PWN[:, :, None].expand(P, W, N, N)
        self._sender_PWH = problems.sender_PH[:, None].expand(P, W, H)
        self._row_P1H = problems.row_PH[:, None]
        self._bags = (problems.first_PN[:, None] + (torch.arange(P * W) * H).view(P, W, 1)).view(-1)
        self._E = E
        self._ends_PWX = torch.cat([problems.start_PE, problems.end_PE], 1)[:, None].expand(P, W, 2 * E)
        self._pair_PWE = (problems.start_PE * N + problems.end_PE)[:, None].expand(P, W, E)
        self._block_P1E = problems.block_PE[:, None]

    def gradient(self) -> Tensor:
        """G (P, W, N, N)."""
        rows = self.padded_PWM.gather(2, self._sender_PWH).add_(self._row_P1H).view(-1)
        summed = torch.embedding_bag(self.problems.table_XN, rows, self._bags, False, 0)[0]
        return summed.view(*self.shape, self.shape[2])

    def costs(self) -> Tensor:
        """Cost of every permutation (P, W): half the gradient counts each node cost half and each edge pair once."""
        nodes_PWN = self.problems.node_cost_PNN.gather(2, self.places_PWN.transpose(1, 2)).transpose(1, 2)
        at_places_PWN = self.gradient().gather(3, self.columns_PWNN).diagonal(dim1=2, dim2=3)
        return 0.5 * (nodes_PWN + at_places_PWN).sum(2)

    def swap_changes(self) -> npt.NDArray[np.floating]:
        """What the cost changes by when nodes i and j exchange places (P, W, N, N); 0 on the diagonal."""
        P, W, N = self.shape
        # moved_ij: node i goes to the place of j, all others stay
        moved_PWNN = self.gradient().gather(3, self.columns_PWNN)
        moved_PWNN -= moved_PWNN.diagonal(dim1=2, dim2=3).clone()[..., None]
        # both moves count the edges between i and j as if the other stayed; this repairs it
        ends_PWX = self.padded_PWM.gather(2, self._ends_PWX)
        entry_PWE = torch.add(ends_PWX[..., self._E :], ends_PWX[..., : self._E], alpha=N).add_(self._block_P1E)
        between_PWE = torch.from_numpy(self.problems.between_X.take(entry_PWE.numpy()))
        moved_PWNN.view(P, W, -1).scatter_add_(2, self._pair_PWE, between_PWE)
        found_PWNN = moved_PWNN.numpy()  # from here on NumPy, which is faster on arrays this small
        return found_PWNN + found_PWNN.swapaxes(2, 3)
