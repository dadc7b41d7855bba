"""What a mean over items does not say about boxes: pooled precision and recall, scores by class, by data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from osler.evaluation import statistics
from osler.evaluation.protocols.base import ClassCounts, Protocol

if TYPE_CHECKING:
    from osler.evaluation.scores import Scored


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
    hits, predicted, true = (
        [entry.score.detail.get(name, 0.0) for entry in scored] for name in ("tp", "predicted", "true")
    )
    clusters = [entry.item.cluster for entry in scored]
    both = [a + b for a, b in zip(predicted, true, strict=True)]
    return {
        "tp": int(sum(hits)),
        "predicted": int(sum(predicted)),
        "true": int(sum(true)),
        "precision": _ratio(hits, predicted, clusters, seed=seed),
        "recall": _ratio(hits, true, clusters, seed=seed),
        "f1": _ratio([2 * hit for hit in hits], both, clusters, seed=seed),
    }


def by_class(scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """Counts, precision, recall and mean IoU of every class that is true or stated somewhere."""
    clusters = [entry.item.cluster for entry in scored]
    names = sorted({name for entry in scored for name in entry.score.classes})
    table = {}
    for name in names:
        counts = [entry.score.classes.get(name, _NONE) for entry in scored]

        def ratio(
            top: Callable[[ClassCounts], float],
            bottom: Callable[[ClassCounts], float],
            counts: Sequence[ClassCounts] = counts,
        ) -> dict[str, float] | None:
            return _ratio([top(entry) for entry in counts], [bottom(entry) for entry in counts], clusters, seed=seed)

        table[name] = {
            "true": sum(entry.true for entry in counts),
            "predicted": sum(entry.predicted for entry in counts),
            "images": len({cluster for cluster, entry in zip(clusters, counts, strict=True) if entry.true}),
            "recall": ratio(lambda entry: entry.hits, lambda entry: entry.true),
            "precision": ratio(lambda entry: entry.hits, lambda entry: entry.predicted),
            "iou": ratio(lambda entry: entry.iou, lambda entry: entry.true),
            "recall_any_class": ratio(lambda entry: entry.found, lambda entry: entry.true),
            "iou_any_class": ratio(lambda entry: entry.iou_found, lambda entry: entry.true),
        }
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


_NONE = ClassCounts()


def _mean(entries: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    values, clusters = [entry.score.value for entry in entries], [entry.item.cluster for entry in entries]
    result = statistics.interval(values, clusters=clusters, seed=seed)
    return {"mean": result.mean, "low": result.low, "high": result.high, "n": result.n}


def _ratio(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[str], *, seed: int
) -> dict[str, float] | None:
    result = statistics.ratio_interval(numerators, denominators, clusters=clusters, seed=seed)
    return None if result is None else {"mean": result.mean, "low": result.low, "high": result.high}
