"""make bench-matching: our graph matching against exact enumeration, pygmtools, SciPy and a plain FAQ.

    python -m benchmarks.matching [--family structured ...] [--nodes 16 ...] [--seed 0]

One JSON line for each family and size. Families: LoGra-Med's costs (Gumbel noise of scale 0.05, five neighbours) on
graphs that are noisy copies of each other ("structured", noise as large as the signal; "faint", twice as large) or
unrelated, and Koopmans-Beckmann problems with dense or sparse weights. The reference is the optimum at 8 nodes, and the
best of all methods and of a long search of ours beyond. Slow peers see fewer instances; their entry holds our result on
the same ones. Times are CPU milliseconds per problem on one thread (wall time, were nothing else running), medians over
batches of 12, ours and the peer's in turn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, quadratic_assignment

from benchmarks.machine import describe
from osler.alignment.exact import LIMIT, enumerate_matching
from osler.alignment.matching import Effort, match, total_cost

Array = NDArray[Any]
Problem = tuple[Array, Array, Array, Array]  # node costs, edge costs, source edges, target edges
NODES = (8, 16, 32, 48, 64)
INSTANCES = {8: 240, 16: 96, 32: 24, 48: 12, 64: 12}
BATCH = 12
SAME = 1e-4  # costs closer than this are the same: float32 against float64


def unit(x: Array) -> Array:
    """Rows of length 1."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def neighbours(x: Array, k: int = 5) -> Array:
    """Edges from each row to its k nearest."""
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    chosen = np.argsort(distance, axis=1)[:, :k]
    return np.stack([np.repeat(np.arange(len(x)), k), chosen.ravel()], axis=1)


def logra(rng: np.random.Generator, n: int, noise: float | None) -> Problem:
    """Costs of LoGra-Med's released code; `noise` None makes the graphs independent."""
    x, y = (unit(rng.normal(size=(n, 64))) for _ in range(2))
    if noise is not None:
        y = unit(x + noise * y)[rng.permutation(n)]
    source, target = neighbours(x), neighbours(y)
    e, f = (unit(z[edges[:, 0]] - z[edges[:, 1]]) for z, edges in ((x, source), (y, target)))
    nodes = -(x @ y.T + rng.gumbel(scale=0.05, size=(n, n)) - 0.5)
    return nodes, -0.5 * (e @ f.T + rng.gumbel(scale=0.05, size=(len(e), len(f))) - 0.5), source, target


def koopmans_beckmann(rng: np.random.Generator, n: int, density: float) -> Problem:
    """Random weights on a share of the pairs of both graphs; no node costs."""
    pairs = np.argwhere(~np.eye(n, dtype=bool))
    kept = round(density * len(pairs))
    source, target = (pairs[np.sort(rng.permutation(len(pairs))[:kept])] for _ in range(2))
    return np.zeros((n, n)), np.outer(rng.random(kept), rng.random(kept)), source, target


FAMILIES: dict[str, Callable[[np.random.Generator, int], Problem]] = {
    "structured": lambda rng, n: logra(rng, n, 1.0),
    "faint": lambda rng, n: logra(rng, n, 2.0),
    "unrelated": lambda rng, n: logra(rng, n, None),
    "koopmans_beckmann_dense": lambda rng, n: koopmans_beckmann(rng, n, 1.0),
    "koopmans_beckmann_sparse": lambda rng, n: koopmans_beckmann(rng, n, 0.5),
}


def faq(problem: Problem, iterations: int = 30, tolerance: float = 1e-6) -> Array:
    """Frank-Wolfe on Lawler's form from the uniform matrix, one start, exact line search, SciPy's assignment."""
    nodes, edges, source, target = problem
    n = len(nodes)
    first = (source[:, 0, None] * n + target[:, 0]).ravel()
    second = (source[:, 1, None] * n + target[:, 1]).ravel()
    weights = edges.ravel()

    def field(x: Array) -> Array:
        flat = x.ravel()
        forth = np.bincount(first, weights * flat[second], n * n)
        return (forth + np.bincount(second, weights * flat[first], n * n)).reshape(n, n)

    x = np.full((n, n), 1 / n)
    at_x = field(x)
    for _ in range(iterations):
        gradient = nodes + at_x
        rows, columns = linear_sum_assignment(gradient)
        vertex = np.zeros((n, n))
        vertex[rows, columns] = 1
        at_vertex, direction = field(vertex), vertex - x
        slope, bend = (gradient * direction).sum(), (direction * (at_vertex - at_x)).sum()
        if -slope <= tolerance * max(1.0, abs((nodes * x).sum() + 0.5 * (x * at_x).sum())):
            break
        step = min(1.0, -slope / bend) if bend > 0 else 1.0
        x, at_x = x + step * direction, at_x + step * (at_vertex - at_x)
    return linear_sum_assignment(-x)[1]


def affinity(problem: Problem) -> Array:
    """Lawler's matrix for pygmtools, which maximises and wants no negative number; index = target * n + source.

    Every pair of different sources and different targets gets the same constant, and so does every node match: for
    permutations that adds a constant. In float32, which makes RRWM twice as fast as float64.
    """
    nodes, edges, source, target = problem
    n = len(nodes)
    first = (target[None, :, 0] * n + source[:, 0, None]).ravel()
    second = (target[None, :, 1] * n + source[:, 1, None]).ravel()
    k = np.zeros((n * n, n * n))
    np.add.at(k, (first, second), -0.5 * edges.ravel())
    np.add.at(k, (second, first), -0.5 * edges.ravel())
    place = np.arange(n * n)
    allowed = (place[:, None] % n != place % n) & (place[:, None] // n != place // n)
    k[allowed] -= k[allowed].min()
    k[place, place] = nodes.max() - nodes.T.ravel()
    return k.astype(np.float32)


def pygm(name: str, backend: str) -> Callable[[Any], list[Array]]:
    """A solver of pygmtools on a stack of affinity matrices, followed by the assignment."""
    import pygmtools

    def solve(stack: Any) -> list[Array]:
        n = round(stack.shape[1] ** 0.5)
        sizes = np.full(len(stack), n) if backend == "numpy" else torch.full((len(stack),), n)
        soft = np.asarray(getattr(pygmtools, name)(stack, sizes, sizes, backend=backend))
        return [linear_sum_assignment(-x)[1] for x in soft]

    return solve


def weights(problem: Problem) -> tuple[Array, Array]:
    """Matrices A and B of a Koopmans-Beckmann problem, whose edge costs are an outer product."""
    nodes, edges, source, target = problem
    pivot = edges[0, 0]
    a, b = np.zeros_like(nodes), np.zeros_like(nodes)
    a[tuple(source.T)], b[tuple(target.T)] = edges[:, 0], edges[0] / pivot
    return a, b


def scipy_qap(method: str) -> Callable[[Any], list[Array]]:
    """SciPy's solver on a list of (A, B)."""

    def solve(pairs: Any) -> list[Array]:
        rng = np.random.default_rng(0)
        return [quadratic_assignment(a, b, method=method, options={"rng": rng}).col_ind for a, b in pairs]

    return solve


def peers(family: str, n: int) -> dict[str, tuple[int, Callable[[list[Problem]], Any], Callable[[Any], list[Array]]]]:
    """For each peer: instances, how it wants a batch (not timed), and the solver."""
    few = {8: 48, 16: 24, 32: 12, 48: 12, 64: 12}[n]
    found: dict[str, Any] = {}
    if family.startswith("koopmans_beckmann"):
        cheap = INSTANCES[n] if n <= 16 else few
        for method in ("faq", "2opt"):
            found[f"scipy_{method}"] = cheap, lambda batch: [weights(p) for p in batch], scipy_qap(method)
        if n > 16:
            return found  # the same algorithm as SciPy's, at the price of the general form
    found["lawler_faq"] = INSTANCES[n], lambda batch: batch, lambda batch: [faq(p) for p in batch]
    if not family.startswith("koopmans_beckmann"):
        few = {8: 48, 16: 24, 32: 6, 48: 2, 64: 1}[n]
        stack = lambda batch: np.stack([affinity(p) for p in batch])  # noqa: E731
        found["pygmtools_rrwm"] = few, stack, pygm("rrwm", "numpy")
        found["pygmtools_rrwm_pytorch"] = few, lambda batch: torch.from_numpy(stack(batch)), pygm("rrwm", "pytorch")
        found["pygmtools_ipfp"] = few, stack, pygm("ipfp", "numpy")
    return found


def tensors(batch: list[Problem]) -> list[torch.Tensor]:
    """A batch in float32, as in training."""
    parts = [torch.from_numpy(np.stack(part)) for part in zip(*batch, strict=True)]
    return [part.float() if part.is_floating_point() else part for part in parts]


def measure(family: str, n: int, seed: int = 0) -> dict[str, Any]:
    """One line of the result."""
    rng = np.random.default_rng([list(FAMILIES).index(family), n, seed])
    count = 4 if family == "koopmans_beckmann_dense" and n > 32 else INSTANCES[n]
    problems = [FAMILIES[family](rng, n) for _ in range(count)]
    batches = [problems[k : k + BATCH] for k in range(0, count, BATCH)]
    as_tensors = [tensors(batch) for batch in batches]
    match(*as_tensors[0])  # warm up

    def osler(k: int) -> Any:
        return match(*as_tensors[k]).permutation_PN

    ours, (ours_ms, _) = timed(osler, batches, osler, batches)
    costs = {"osler": ours}
    times: dict[str, tuple[float, float]] = {}
    for name, (instances, prepare, solve) in peers(family, n).items():
        seen = [problems[k : min(k + BATCH, instances)] for k in range(0, min(instances, count), BATCH)]
        ready = [prepare(batch) for batch in seen]
        costs[name], times[name] = timed(lambda k, ready=ready, solve=solve: solve(ready[k]), seen, osler, batches)
    if n <= LIMIT:
        best = np.concatenate([enumerate_matching(*part).cost_P.numpy() for part in as_tensors])
    else:
        long = Effort(walkers=16, steps=10 * n, relaxation=30)
        best = exact_costs([match(*part, effort=long).permutation_PN for part in as_tensors], batches)
    for found in costs.values() if n > LIMIT else ():
        best[: len(found)] = np.minimum(best[: len(found)], found)

    def quality(found: Array) -> dict[str, Any]:
        gap = found - best[: len(found)]
        return {
            "instances": len(found),
            "mean_objective": round(float(found.mean()), 4),
            "mean_gap": round(float(gap.mean()), 4),
            "share_best": round(float((gap < SAME).mean()), 4),
        }

    lines = {}
    for name, (ms, osler_ms) in times.items():
        peer, same = quality(costs[name]), quality(ours[: len(costs[name])])
        lines[name] = peer | {
            "ms": round(ms, 3),
            "osler_mean_gap": same["mean_gap"],
            "osler_no_worse": same["mean_objective"] <= peer["mean_objective"] + SAME,
            "osler_time_ratio": round(osler_ms / ms, 4),
        }
    return {
        "benchmark": "matching",
        "family": family,
        "seed": seed,
        "nodes": n,
        "edges": len(problems[0][2]),
        "reference": "enumeration" if n <= LIMIT else "best known",
        "mean_reference": round(float(best.mean()), 4),
        "osler": quality(ours) | {"ms": round(ours_ms, 3)},
        "peers": lines,
    }


def timed(
    solve: Callable[[int], Any], batches: list[list[Problem]], osler: Callable[[int], Any], full: list[list[Problem]]
) -> tuple[Array, tuple[float, float]]:
    """Costs of `solve` (float64), and CPU milliseconds per problem of it and of ours, medians over batches.

    Ours always solves the full batches, the peer perhaps only the first of their problems.
    """
    found, times = [], []
    for k, batch in enumerate(batches):
        stamps = [time.process_time()]
        found.append(solve(k))
        stamps.append(time.process_time())
        osler(k)
        stamps.append(time.process_time())
        times.append(np.diff(stamps) / (len(batch), len(full[k])) * 1e3)
    first, second = np.median(times, axis=0)
    return exact_costs(found, batches), (float(first), float(second))


def exact_costs(found: list[Any], batches: list[list[Problem]]) -> Array:
    """Costs of permutations in float64."""
    costs = []
    for places, batch in zip(found, batches, strict=True):
        permutation = torch.from_numpy(np.stack([np.asarray(p) for p in places])).long()
        costs.append(total_cost(permutation, *(torch.from_numpy(np.stack(part)) for part in zip(*batch, strict=True))))
    return torch.cat(costs).numpy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--nodes", type=int, choices=NODES, action="append")
    parser.add_argument("--seed", type=int, default=0, help="other instances")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for family in args.family or FAMILIES:
        for n in args.nodes or NODES:
            print(json.dumps(measure(family, n, args.seed) | {"machine": describe()}), flush=True)


if __name__ == "__main__":
    main()
