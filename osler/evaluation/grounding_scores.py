"""What a mean over items does not say about boxes: pooled precision and recall, scores by class, by data set."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from osler.evaluation import statistics
from osler.evaluation.protocols.base import ClassCounts, Protocol

if TYPE_CHECKING:
    from osler.evaluation.scores import Scored

_Array = npt.NDArray[np.float64]
_Key = TypeVar("_Key", bound=Hashable)
_NONE = ClassCounts()


def grounding_summary(protocol: Protocol, scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """Further parts of a protocol's summary; none for protocols that need no regions.

    Args:
        protocol: that scored.
        scored: items in its denominator.
        seed: of the bootstrap.

    Returns:
        `by_presence`; `pooled` where the protocol counts boxes, `by_class` where it counts them by class, `by_dataset`
        where it names classes; layout in docs/schema_scores.md.
    """
    if not protocol.needs_regions:
        return {}
    parts: dict[str, Any] = {"by_presence": by_presence(scored, seed=seed)}
    if protocol.counts_classes:
        parts["by_class"] = by_class(scored, seed=seed)
    elif protocol.needs_options:
        parts["by_dataset"] = by_dataset(scored, seed=seed)
    elif any("tp" in entry.score.detail for entry in scored):
        parts["pooled"] = pooled(scored, seed=seed)
    return parts


def by_presence(scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """Items that show something, and items that show nothing: a model that states no box is right on the latter."""
    parts = {}
    for name, wanted in (("with_region", True), ("without_region", False)):
        entries = [entry for entry in scored if entry.item.regions and bool(entry.item.regions.names) == wanted]
        if entries:
            parts[name] = _mean(entries, seed=seed)
    return parts


def pooled(scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """Precision, recall and F1 of all boxes together, each with an interval over images."""
    names = ("tp", "predicted", "true")
    counts = np.array([[entry.score.detail.get(name, 0.0) for name in names] for entry in scored])
    hits, predicted, true = counts.T
    ratios = {"precision": (hits, predicted), "recall": (hits, true), "f1": (2 * hits, predicted + true)}
    return {**dict(zip(names, map(int, counts.sum(axis=0)), strict=True)), **_ratios(ratios, scored, seed=seed)}


def by_class(scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """Counts, precision, recall and mean IoU of every class that is true or stated somewhere."""
    names = sorted({name for entry in scored for name in entry.score.classes})
    table: dict[str, Any] = {}
    ratios: dict[tuple[str, str], tuple[_Array, _Array]] = {}
    for name in names:
        counts = [entry.score.classes.get(name, _NONE) for entry in scored]
        true = np.array([entry.true for entry in counts], dtype=np.float64)
        predicted = np.array([entry.predicted for entry in counts], dtype=np.float64)
        hits = np.array([entry.hits for entry in counts], dtype=np.float64)
        ratios |= {
            (name, "recall"): (hits, true),
            (name, "precision"): (hits, predicted),
            (name, "iou"): (np.array([entry.iou for entry in counts]), true),
            (name, "recall_any_class"): (np.array([float(entry.found) for entry in counts]), true),
            (name, "iou_any_class"): (np.array([entry.iou_found for entry in counts]), true),
        }
        images = {entry.item.cluster for entry, count in zip(scored, counts, strict=True) if count.true}
        table[name] = {"true": int(true.sum()), "predicted": int(predicted.sum()), "images": len(images)}
    for (name, measure), found in (_ratios(ratios, scored, seed=seed) if ratios else {}).items():
        table[name][measure] = found
    return table


def by_dataset(scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """By question type: mean of every data set, and the plain mean over data sets ("macro"), with intervals."""
    kinds: dict[str, dict[str, list[Scored]]] = {}
    for entry in scored:
        dataset = entry.item.tags.get("dataset", "unknown")
        kinds.setdefault(entry.item.question_type, {}).setdefault(dataset, []).append(entry)
    table = {}
    for kind, datasets in sorted(kinds.items()):
        found, resampled = {}, []
        for number, (name, entries) in enumerate(sorted(datasets.items())):
            values = [entry.score.value for entry in entries]
            clusters = [entry.item.cluster for entry in entries]
            found[name] = _mean(entries, seed=seed)
            # data sets share no image: each is resampled by itself
            resampled.append(statistics.bootstrap_means(values, clusters=clusters, seed=seed + number))
        low, high = statistics.ends(np.mean(resampled, axis=0))
        mean = sum(entry["mean"] for entry in found.values()) / len(found)
        table[kind] = {"datasets": found, "macro": {"mean": mean, "low": low, "high": high}}
    return table


def _mean(entries: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    values, clusters = [entry.score.value for entry in entries], [entry.item.cluster for entry in entries]
    result = statistics.interval(values, clusters=clusters, seed=seed)
    return {"mean": result.mean, "low": result.low, "high": result.high, "n": result.n}


def _ratios(
    ratios: Mapping[_Key, tuple[_Array, _Array]], scored: Sequence[Scored], *, seed: int
) -> dict[_Key, dict[str, float] | None]:
    """Each ratio of two sums over items with its interval; None where the denominator is 0."""
    above, below = (np.stack([pair[side] for pair in ratios.values()], axis=1) for side in (0, 1))
    found = statistics.ratio_intervals(above, below, clusters=[entry.item.cluster for entry in scored], seed=seed)
    return {
        key: None if result is None else {"mean": result.mean, "low": result.low, "high": result.high}
        for key, result in zip(ratios, found, strict=True)
    }
