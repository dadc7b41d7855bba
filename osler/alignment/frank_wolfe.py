"""Linearise and assign: Frank-Wolfe on doubly stochastic matrices (FAQ, Vogelstein et al. 2015, arXiv 1112.5507).

FAQ is written for the Koopmans-Beckmann form, the objective here is Lawler's. The linear step is an exact assignment,
the line search is exact, and since the gradient is affine in the matrix, only gradients at permutations are computed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from osler.alignment.assignment import assign
from osler.alignment.lawler import Lawler, Walkers


def frank_wolfe(problems: Lawler, *, iterations: int, tolerance: float = 1e-5) -> Tensor:
    """Walk from the centre to a stationary point and take the nearest permutation.

    Args:
        problems: the problems.
        iterations: most steps.
        tolerance: a walk ends when the linear model promises less than this share of the cost's size.

    Returns:
        Permutations (P, N).
    """
    P, N = problems.P, problems.N
    gradient_PNN = problems.gradient_at_centre().numpy()
    x_PNN = np.full((P, N, N), 1 / N, dtype=gradient_PNN.dtype)
    walkers = Walkers(problems, torch.zeros(P, 1, N, dtype=torch.long))
    active_P = np.ones(P, dtype=bool)
    vertex_PN = walkers.places_PWN[:, 0].numpy()
    problem_P1, node_N = np.arange(P)[:, None], np.arange(N)
    for _ in range(iterations):
        vertex_PN[active_P] = assign(torch.from_numpy(gradient_PNN[active_P])).numpy()
        ahead_PNN = walkers.gradient()[:, 0].numpy()
        at_vertex_P = gradient_PNN[problem_P1, node_N, vertex_PN].sum(1)
        at_x_P = _inner(gradient_PNN, x_PNN)
        slope_P = at_vertex_P - at_x_P
        # slope of the cost at the vertex, along the same direction
        end_P = ahead_PNN[problem_P1, node_N, vertex_PN].sum(1) - _inner(ahead_PNN, x_PNN)
        active_P &= -slope_P > tolerance * (np.abs(at_x_P) + np.abs(at_vertex_P))
        if not active_P.any():
            break
        # where the cost still falls at the vertex, the vertex is the best point on the way
        inside_P = active_P & (end_P > 0)
        step_P = np.where(inside_P, -slope_P / np.where(inside_P, end_P - slope_P, 1), 1)
        step_P11 = np.where(active_P, step_P, 0).astype(x_PNN.dtype)[:, None, None]
        x_PNN *= 1 - step_P11
        x_PNN[problem_P1, node_N, vertex_PN] += step_P11[:, :, 0]
        gradient_PNN = gradient_PNN + step_P11 * (ahead_PNN - gradient_PNN)
    return assign(torch.from_numpy(-x_PNN))


def _inner(left_PNN: npt.NDArray[np.floating], right_PNN: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Inner products (P). Not `einsum`, whose order of summation depends on the size of the batch."""
    return (left_PNN * right_PNN).reshape(len(left_PNN), -1).sum(1)
