"""Graph matching by trying every permutation, one problem at a time: slow and plain, to compare with."""

from __future__ import annotations

from itertools import permutations

from torch import Tensor


def cost(p: tuple[int, ...], nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor) -> float:
    place = {(a, b): number for number, (a, b) in enumerate(target.tolist())}
    total = sum(float(nodes[i, a]) for i, a in enumerate(p))
    for number, (i, j) in enumerate(source.tolist()):
        other = place.get((p[i], p[j]))
        if other is not None:
            total += float(edges[number, other])
    return total


def best(nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor) -> tuple[tuple[int, ...], float]:
    found = [(cost(p, nodes, edges, source, target), p) for p in permutations(range(len(nodes)))]
    value, p = min(found)
    return p, value
