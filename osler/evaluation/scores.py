"""From predictions to the numbers of `scores.json` (layout: docs/schema_scores.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from osler.errors import EvaluationError
from osler.evaluation import classification, statistics
from osler.evaluation import protocols as registry
from osler.evaluation.confidence_scores import confidence_scores
from osler.evaluation.controls import CONTROLS, UNKNOWN_TYPE, WITHOUT_MODEL
from osler.evaluation.grounding_scores import grounding_summary
from osler.evaluation.groups import SMALL
from osler.evaluation.items import Item, to_item
from osler.evaluation.option_orders import FixedPlace
from osler.evaluation.order_scores import order_summary
from osler.evaluation.plan import Plan
from osler.evaluation.pooled_scores import pooled_summary
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
        "clinkd-roc-substring",
        "llava-med-open-candidate",
        "logra-med-nearest-option",
        "medvh-official-letter",
        "medvh-robust-letter",
        "omnimedvqa-prefix-score",
        "omnimedvqa-qa-caseless",
        "omnimedvqa-qa-score",
        "option-letter",
        "pmc-vqa-nearest-choice",
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

    Raises:
        EvaluationError: when the protocol cannot run here; says what is lacking.
    """
    lacking = protocol.missing()
    if lacking is not None:
        raise EvaluationError(f"protocol {protocol.name} cannot run here: {lacking}")

    def known(item: Item) -> dict[str, Any]:
        return {"options": item.options, "regions": item.regions}

    chosen = [
        item
        for item in items
        if protocol.applies(answer_type=item.answer_type, reference=item.reference, **known(item))
    ]
    # an absent answer scores what an empty one does
    texts = [answers.get(item.id) or "" for item in chosen]
    prepared = None
    if protocol.prepare is not None and chosen:
        prepared = protocol.prepare([(text, item.reference) for text, item in zip(texts, chosen, strict=True)])
    return [
        Scored(
            item,
            protocol.score(text, item.reference, prepared=prepared, **known(item)),
            answers.get(item.id) is None,
        )
        for text, item in zip(texts, chosen, strict=True)
    ]


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
    tags = dict.fromkeys(tag for entry in scored for tag in entry.item.tags)
    for tag in tags:
        for entry in scored:
            table.setdefault(tag, {}).setdefault(entry.item.tags.get(tag, UNKNOWN_TYPE), []).append(entry)
    return {
        tag: {
            value: {
                **_interval(entries, seed=seed),
                "small": len({entry.item.cluster for entry in entries}) < SMALL,
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
    whole = _interval(scored, seed=seed)
    answered = [entry for entry in scored if not entry.score.refusal and not entry.missing]
    return {
        "version": protocol.version,
        "description": protocol.description,
        "applies_to": protocol.applies_to,
        **whole,
        "denominator": len(scored),
        "failures": sum(not entry.score.parsed for entry in scored),
        "refusals": sum(entry.score.refusal for entry in scored),
        "missing": sum(entry.missing for entry in scored),
        "when_answered": whole if len(answered) == len(scored) else _interval(answered, seed=seed),
        "not_applicable": len(of_type) - len(scored),
        "details": {name: sum(entry.score.detail.get(name, 0.0) for entry in scored) / len(scored) for name in details},
        "by_question_type": {
            kind: _interval([entry for entry in scored if entry.item.question_type == kind], seed=seed)
            for kind in kinds
        },
        "by_tag": _by_tag(protocol, scored, seed=seed),
        **({"choices": _choices(scored, seed=seed)} if _chooses(protocol) else {}),
        **grounding_summary(protocol, scored, seed=seed),
        **pooled_summary(protocol, scored, seed=seed),
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
    test_of_signs = statistics.sign_flip_test(a, b, clusters=[x.item.cluster for x, _ in pairs], seed=seed)
    result |= {"p_value": test_of_signs}
    renamed = {"first_mean": result.pop("first"), "second_mean": result.pop("second")}
    test = asdict(statistics.mcnemar([v == 1.0 for v in a], [v == 1.0 for v in b])) if name in _BINARY else None
    return {**result, **renamed, "mcnemar": test}


def score_conditions(
    items: Sequence[Item],
    predictions: Sequence[Prediction],
    names: Sequence[str],
    *,
    seed: int = 0,
    other_items: Mapping[str, Sequence[Item]] | None = None,
) -> dict[str, Any]:
    """The parts `conditions`, `differences`, `same_answer`, `orders` and `confidence` of `scores.json`.

    Args:
        items: all items of the task; under "real" every one counts, answered or not.
        predictions: of all conditions.
        names: protocols; those that cannot run here are left out.
        seed: of the bootstrap.
        other_items: of conditions that ask other items, such as options in another order.
    """
    names = [name for name in names if registry.can_run(name)]
    other_items = other_items or {}
    answers: dict[str, dict[str, str | None]] = {"real": {}}
    for prediction in predictions:
        answers.setdefault(prediction.condition, {})[prediction.item] = prediction.answer
    answers = dict(sorted(answers.items(), key=lambda entry: _place(entry[0])))
    scored: dict[str, dict[str, list[Scored]]] = {}
    conditions: dict[str, Any] = {}
    for condition, given in answers.items():
        # A control may lack items by design (no shuffling partner); the real condition may not.
        of_condition = other_items.get(condition, items)
        present = items if condition == "real" else [item for item in of_condition if item.id in given]
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
        if both and condition not in WITHOUT_MODEL and condition not in other_items:
            same[condition] = sum(answers["real"][item] == given[item] for item in both) / len(both)
    orders = {}
    for name in names if other_items else ():
        by_order = {condition: scored[condition][name] for condition in ("real", *other_items) if condition in scored}
        found = order_summary(by_order, answers=answers, seed=seed)
        if found:
            orders[name] = found
    return {
        "conditions": conditions,
        "differences": differences,
        "same_answer": same,
        **({"orders": orders} if orders else {}),
        "confidence": confidence_scores(scored["real"], predictions, seed=seed),
    }


def _place(condition: str) -> tuple[int, str]:
    """Real first, then the controls in their order, further orders of the options behind the first."""
    names = ("real", *CONTROLS)
    control = next((name for name in names if condition == name or condition.startswith(f"{name}-")), "")
    return names.index(control) if control else len(names), condition


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
    protocols_named = plan.task.protocols_of(plan.convention)
    for name in protocols_named:
        lacking = registry.get(name).missing()
        if lacking is not None:
            warnings.append(f"{name} was left out: {lacking}")
    cut = sum(p.finished is False for p in predictions if p.condition == "real")
    if cut:
        warnings.append(f"{cut} of {len(plan.items)} answers were cut at the length limit.")
    failed = Counter(p.condition for p in predictions if p.answer is None and (p.note or "").startswith(FAILED))
    for condition, count in sorted(failed.items()):
        warnings.append(f"{count} prompts of condition {condition} failed; they count as wrong. Run again to ask them.")
    clusters = len({item.cluster for item in plan.items})
    if clusters < 20:
        warnings.append(f"Only {clusters} different images: the intervals are too narrow.")
    asked = {
        condition: [to_item(plan.task, record) for record in records.values()]
        for condition, records in plan.orders.items()
    }
    scored = score_conditions(plan.items, predictions, protocols_named, seed=seed, other_items=asked)
    controls: dict[str, Any] = {}
    if plan.shuffle is not None:
        without = plan.shuffle.without_partner
        controls["shuffled"] = {"paired": len(plan.shuffle.donors), "without_partner": len(without), "seed": seed}
    if plan.orders:
        taken = {item for records in plan.orders.values() for item in records}
        controls["options-shuffled"] = {"orders": len(plan.orders), "items": len(taken), "seed": seed}
    if plan.place is not None:
        controls["position"] = {
            "computed_on": "the items asked, so it is the best place in hindsight",
            "chosen": plan.place.name,
            "items": plan.place.items,
            "places": dict(plan.place.shares),
            "chance": plan.place.chance,
        }
    for name, fixed in plan.without_model.items():
        if isinstance(fixed, FixedPlace):
            continue
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
