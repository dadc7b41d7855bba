"""From predictions to the numbers of `scores.json` (layout: docs/schema_scores.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from osler.evaluation import classification, statistics
from osler.evaluation import protocols as registry
from osler.evaluation.controls import WITHOUT_MODEL
from osler.evaluation.grounding_scores import grounding_summary
from osler.evaluation.items import Item
from osler.evaluation.plan import Plan
from osler.evaluation.predictions import FAILED, Prediction
from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.class_names import joined
from osler.evaluation.protocols.vqa_text import normalise

SCHEMA_VERSION = 1
DISCLAIMER = "Research results. Not for clinical use: no number here says that a model is safe for a patient."
_BINARY = frozenset(
    {
        "candidate-whole-word",
        "closed-whole-word",
        "llava-med-closed",
        "logra-med-nearest-option",
        "recognition-lenient",
        "recognition-strict",
        "strict-exact-match",
        "yes-no",
    }
)


class Scored(NamedTuple):
    """Score of one item under one protocol; `missing` when there was no answer."""

    item: Item
    score: Score
    missing: bool


def score_items(protocol: Protocol, items: Sequence[Item], answers: dict[str, str | None]) -> list[Scored]:
    """Score all items that belong to a protocol; an item without an answer scores 0 and stays.

    Args:
        protocol: to apply.
        items: of the condition.
        answers: item id -> text, or None where there is none.
    """
    scored = []
    for item in items:
        known: dict[str, Any] = {"options": item.options, "regions": item.regions}
        if protocol.applies(answer_type=item.answer_type, reference=item.reference, **known):
            text = answers.get(item.id)
            # an absent answer scores what an empty one does
            score = protocol.score(text or "", item.reference, **known)
            scored.append(Scored(item, score, text is None))
    return scored


def _interval(scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    if not scored:
        return {"mean": None, "low": None, "high": None, "n": 0, "clusters": 0}
    values = [entry.score.value for entry in scored]
    result = statistics.interval(values, clusters=[entry.item.cluster for entry in scored], seed=seed)
    return {"mean": result.mean, "low": result.low, "high": result.high, "n": result.n, "clusters": result.clusters}


def _chooses(protocol: Protocol) -> bool:
    return protocol.needs_options and not protocol.counts_classes


def _gold(item: Item) -> str:
    return item.reference if item.regions is None else joined(item.regions.names)


def _chance(item: Item) -> float:
    """Score of naming one option at random: nothing where several classes, or none, are to be named."""
    return 1 / len(item.options) if item.regions is None or len(item.regions.names) == 1 else 0.0


def _choices(scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """What accuracy does not say about choices: the score of guessing, and means over classes."""
    if not scored:
        return {"chance": None, "classes": 0, "balanced_accuracy": None, "macro_f1": None}

    def label(entry: Scored, text: str | None) -> tuple[str, str, str] | None:
        # "normal" of one data set and "normal" of another are two classes
        item = entry.item
        return None if text is None else (item.tags.get("dataset", ""), item.question_type, normalise(text))

    found = classification.class_scores(
        [label(entry, _gold(entry.item)) for entry in scored],
        [label(entry, entry.score.choice) for entry in scored],
        clusters=[entry.item.cluster for entry in scored],
        seed=seed,
    )
    return {"chance": sum(_chance(entry.item) for entry in scored) / len(scored), **asdict(found)}


def _by_tag(protocol: Protocol, scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    table: dict[str, dict[str, list[Scored]]] = {}
    for entry in scored:
        for tag, value in entry.item.tags.items():
            table.setdefault(tag, {}).setdefault(value, []).append(entry)
    return {
        tag: {
            value: {
                **_interval(entries, seed=seed),
                **({"choices": _choices(entries, seed=seed)} if _chooses(protocol) else {}),
            }
            for value, entries in sorted(groups.items())
        }
        for tag, groups in table.items()
    }


def summarise(protocol: Protocol, items: Sequence[Item], scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """Mean, interval, denominator and failures of one protocol under one condition, and by question type and tag."""
    kinds = sorted({entry.item.question_type for entry in scored})
    details = sorted({name for entry in scored for name in entry.score.detail})
    of_type = [
        item
        for item in items
        if protocol.applies_to == "any" or (item.answer_type or "").lower() == protocol.applies_to
    ]
    return {
        "version": protocol.version,
        "description": protocol.description,
        "applies_to": protocol.applies_to,
        **_interval(scored, seed=seed),
        "denominator": len(scored),
        "failures": sum(not entry.score.parsed for entry in scored),
        "refusals": sum(entry.score.refusal for entry in scored),
        "missing": sum(entry.missing for entry in scored),
        "not_applicable": len(of_type) - len(scored),
        "details": {name: sum(entry.score.detail.get(name, 0.0) for entry in scored) / len(scored) for name in details},
        "by_question_type": {
            kind: _interval([entry for entry in scored if entry.item.question_type == kind], seed=seed)
            for kind in kinds
        },
        "by_tag": _by_tag(protocol, scored, seed=seed),
        **({"choices": _choices(scored, seed=seed)} if _chooses(protocol) else {}),
        **grounding_summary(protocol, scored, seed=seed),
    }


def compare(name: str, first: Sequence[Scored], second: Sequence[Scored], *, seed: int) -> dict[str, Any] | None:
    """Paired difference of two conditions (or runs) on the items that both have; None when there are none.

    McNemar's exact test is added for protocols that only say right or wrong.
    """
    others = {entry.item.id: entry for entry in second}
    pairs = [(entry, others[entry.item.id]) for entry in first if entry.item.id in others]
    if not pairs:
        return None
    a, b = [x.score.value for x, _ in pairs], [y.score.value for _, y in pairs]
    result = asdict(statistics.paired_difference(a, b, clusters=[x.item.cluster for x, _ in pairs], seed=seed))
    renamed = {"first_mean": result.pop("first"), "second_mean": result.pop("second")}
    test = asdict(statistics.mcnemar([v == 1.0 for v in a], [v == 1.0 for v in b])) if name in _BINARY else None
    return {**result, **renamed, "mcnemar": test}


def score_conditions(
    items: Sequence[Item], predictions: Sequence[Prediction], names: Sequence[str], *, seed: int = 0
) -> dict[str, Any]:
    """The parts `conditions`, `differences` and `same_answer` of `scores.json`.

    Args:
        items: all items of the task; under "real" every one counts, answered or not.
        predictions: of all conditions.
        names: protocols.
        seed: of the bootstrap.
    """
    answers: dict[str, dict[str, str | None]] = {"real": {}}
    for prediction in predictions:
        answers.setdefault(prediction.condition, {})[prediction.item] = prediction.answer
    scored: dict[str, dict[str, list[Scored]]] = {}
    conditions: dict[str, Any] = {}
    for condition, given in answers.items():
        # A control may lack items by design (no shuffling partner); the real condition may not.
        present = items if condition == "real" else [item for item in items if item.id in given]
        scored[condition] = {name: score_items(registry.get(name), present, given) for name in names}
        summaries = {name: summarise(registry.get(name), present, scored[condition][name], seed=seed) for name in names}
        conditions[condition] = {"items": len(present), "protocols": summaries}
    differences = []
    same = {}
    for condition, given in answers.items():
        if condition == "real":
            continue
        for name in names:
            difference = compare(name, scored["real"][name], scored[condition][name], seed=seed)
            if difference:
                differences.append({"first": "real", "second": condition, "protocol": name, **difference})
        both = [item for item in given if answers["real"].get(item) is not None]
        if both and condition not in WITHOUT_MODEL:
            same[condition] = sum(answers["real"][item] == given[item] for item in both) / len(both)
    return {"conditions": conditions, "differences": differences, "same_answer": same}


def _boxes_of(plan: Plan) -> dict[str, Any]:
    """How boxes are written, and what their rounding leaves to be earned: mean IoU of the reference answers."""
    if not plan.task.states_boxes:
        return {}
    references: dict[str, str | None] = {item.id: item.reference for item in plan.items}
    best = score_items(registry.get("grounding-iou"), plan.items, references)
    return {
        "boxes": {
            "formats": sorted({item.regions.box_format for item in plan.items if item.regions}),
            "items_without_region": sum(not item.regions.boxes for item in plan.items if item.regions),
            "reference_iou": sum(entry.score.value for entry in best) / len(best) if best else None,
        }
    }


def assemble_scores(
    plan: Plan, settings: dict[str, Any], predictions: Sequence[Prediction], *, seed: int
) -> dict[str, Any]:
    """Content of `scores.json`, but for `run`.

    Args:
        plan: of the evaluation.
        settings: as in `run.json`.
        predictions: of all conditions.
        seed: of the bootstrap.
    """
    warnings = list(plan.warnings)
    cut = sum(p.finished is False for p in predictions if p.condition == "real")
    if cut:
        warnings.append(f"{cut} of {len(plan.items)} answers were cut at the length limit.")
    failed = Counter(p.condition for p in predictions if p.answer is None and (p.note or "").startswith(FAILED))
    for condition, count in sorted(failed.items()):
        warnings.append(f"{count} prompts of condition {condition} failed; they count as wrong. Run again to ask them.")
    clusters = len({item.cluster for item in plan.items})
    if clusters < 20:
        warnings.append(f"Only {clusters} different images: the intervals are too narrow.")
    scored = score_conditions(plan.items, predictions, plan.task.protocols, seed=seed)
    controls: dict[str, Any] = {}
    if plan.shuffle is not None:
        without = plan.shuffle.without_partner
        controls["shuffled"] = {"paired": len(plan.shuffle.donors), "without_partner": len(without), "seed": seed}
    for name, fixed in plan.without_model.items():
        controls[name] = {
            "computed_on": "training records",
            "training_records": fixed.trained_on,
            "by": fixed.by,
            "fall_backs": sum(p.note == "fall-back" for p in predictions if p.condition == name),
        }
    return {
        "schema_version": SCHEMA_VERSION,
        "disclaimer": DISCLAIMER,
        **settings,
        "task": {
            **settings["task"],
            "description": plan.task.description,
            "items": len(plan.items),
            "items_in_split": plan.total,
            "images": clusters,
            "test_images_in_training": plan.shared_images,
        },
        **_boxes_of(plan),
        "statistics": {
            "interval": "percentile bootstrap of whole images with all their questions",
            "level": statistics.LEVEL,
            "resamples": statistics.RESAMPLES,
            "cluster": "image",
            "seed": seed,
        },
        "controls": controls,
        "warnings": warnings,
        **scored,
    }
