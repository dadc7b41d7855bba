"""Frank-Wolfe on the relaxed problem, over doubly stochastic matrices (FAQ, Vogelstein et al. 2015)."""

from __future__ import annotations

import torch
from torch import Tensor

from osler.alignment.assignment import assign


def gradient(point_PNN: Tensor, nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Gradient of the relaxed cost: what a unit of each match costs while the others stay.

    Args:
        point_PNN: a relaxed (or proper) matching.
        nodes: C^v (P, N, N).
        edges: C^e (P, E, F).
        source: edges of the first graphs (P, E, 2).
        target: edges of the second graphs (P, F, 2).
    """
    P, E, F = edges.shape
    i, j = (part[..., None].expand(P, E, F) for part in source.unbind(-1))
    a, b = (part[:, None].expand(P, E, F) for part in target.unbind(-1))
    N = nodes.shape[1]
    flat, point = nodes.flatten(1), point_PNN.flatten(1)
    start, end = (i * N + a).flatten(1), (j * N + b).flatten(1)
    costs = edges.flatten(1)
    result = flat.scatter_add(1, start, costs * point.gather(1, end))
    return result.scatter_add(1, end, costs * point.gather(1, start)).view_as(nodes)


def relax(nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor, *, steps: int) -> Tensor:
    """Frank-Wolfe from the uniform matrix with exact line search, then the nearest permutation.

    Args:
        nodes: C^v (P, N, N).
        edges: C^e (P, E, F).
        source: edges of the first graphs.
        target: edges of the second graphs.
        steps: at most so many; a problem whose step shrinks to nothing stays where it is.

    Returns:
        Permutations (P, N).
    """
    point = torch.full_like(nodes, 1 / nodes.shape[1])
    slope = gradient(point, nodes, edges, source, target)
    for _ in range(steps):
        corner = torch.zeros_like(point).scatter_(2, assign(slope)[..., None], 1.0)
        direction = corner - point
        ahead = gradient(corner, nodes, edges, source, target)
        # the cost is quadratic and its gradient affine, so both ends tell the whole parabola
        first = (slope * direction).sum((1, 2))
        second = ((ahead - slope) * direction).sum((1, 2))
        length = torch.where(
            second > 0, (-first / second.clamp_min(1e-12)).clamp(0, 1), (first + second / 2 < 0).float()
        )
        length = length.to(point.dtype)[:, None, None]
        point, slope = point + length * direction, slope + length * (ahead - slope)
        if float((length * direction).abs().max()) < 1e-3:
            break
    return assign(-point)
