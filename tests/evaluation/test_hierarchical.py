"""The bootstrap over seeds and images against a plain loop, and its coverage."""

from __future__ import annotations

import numpy as np
import pytest

from osler.evaluation.hierarchical import seed_interval


def looped(values: np.ndarray, clusters: list[str], *, resamples: int, seed: int) -> tuple[float, float]:
    random = np.random.default_rng(seed)
    names = sorted(set(clusters))
    members = {name: [i for i, c in enumerate(clusters) if c == name] for name in names}
    means = []
    for _ in range(resamples):
        rows = random.integers(len(values), size=len(values))
        chosen = [names[k] for k in random.integers(len(names), size=len(names))]
        items = [i for name in chosen for i in members[name]]
        means.append(np.mean([[values[row, i] for i in items] for row in rows]))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def test_equals_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    clusters = [f"image-{k}" for k in random.integers(12, size=40)]
    values = random.random((3, 40)) < [[0.3], [0.5], [0.6]]
    found = seed_interval(values, clusters, resamples=20_000)
    low, high = looped(values.astype(float), clusters, resamples=3000, seed=1)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(low, abs=0.015)
    assert found.high == pytest.approx(high, abs=0.015)
    assert (found.seeds, found.clusters) == (3, len(set(clusters)))


def test_covers_the_truth_about_as_often_as_it_says() -> None:
    """Seeds and images both vary; an interval over items alone would be far too narrow."""
    random = np.random.default_rng(3)
    inside = 0
    for trial in range(200):
        seeds = 0.1 * random.standard_normal((8, 1))
        images = 0.3 * random.standard_normal((1, 20))
        values = np.repeat(seeds + images, 4, axis=1) + 0.1 * random.standard_normal((8, 80))
        found = seed_interval(values, np.repeat(np.arange(20), 4).tolist(), resamples=400, seed=trial)
        inside += found.low <= 0 <= found.high
    assert 0.85 < inside / 200 < 0.99


def test_paired_differences_cancel_what_the_runs_share() -> None:
    random = np.random.default_rng(5)
    hard = random.standard_normal((1, 30))
    first, second = hard + 0.1, hard
    found = seed_interval(np.repeat(first - second, 3, axis=0), list(range(30)))
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(seeds, items\)"):
        seed_interval([[1.0, 0.0]], ["a"])
    with pytest.raises(ValueError, match=r"\(seeds, items\)"):
        seed_interval(np.zeros((0, 0)), [])
