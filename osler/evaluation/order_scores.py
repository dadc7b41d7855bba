"""Does the answer hang on the order of the options? Numbers of the control options-shuffled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from osler.evaluation import statistics
from osler.evaluation.option_orders import right_place
from osler.evaluation.protocols.vqa_text import normalise

if TYPE_CHECKING:
    from osler.evaluation.scores import Scored


def order_summary(by_order: Mapping[str, Sequence[Scored]], *, answers: Mapping[str, Mapping[str, str | None]],
                  seed: int) -> dict[str, Any] | None:  # fmt: skip
    """Scores over all orders of one protocol, on the items that were asked in more than one.

    Args:
        by_order: "real" and the conditions of the control -> scores.
        answers: condition -> item -> answer.
        seed: of the bootstrap.

    Returns:
        `items`; `mean` over items and orders; `every_order`, right in all orders (CircularEval when these are all
        rotations); `agreement`, the share of pairs of orders in which the same option is chosen, each with its
        interval; `lowest` and `highest` mean of a single order, over the items that were asked in all. None when no
        item was asked twice.
    """
    values: dict[str, list[float]] = {}
    choices: dict[str, list[str | None]] = {}
    clusters: dict[str, str] = {}
    for condition, scored in by_order.items():
        for entry in scored:
            values.setdefault(entry.item.id, []).append(entry.score.value)
            choices.setdefault(entry.item.id, []).append(_chosen(entry, answers[condition].get(entry.item.id)))
            clusters[entry.item.id] = entry.item.cluster
    items = [item for item, found in values.items() if len(found) > 1]
    if not items:
        return None
    keys = [clusters[item] for item in items]
    # single orders are only comparable on the items that were asked in all of them
    most = max(len(values[item]) for item in items)
    whole = [values[item] for item in items if len(values[item]) == most]
    means = [sum(column) / len(whole) for column in zip(*whole, strict=True)]

    def over(numbers: list[float]) -> dict[str, float]:
        found = statistics.interval(numbers, clusters=keys, seed=seed)
        return {"mean": found.mean, "low": found.low, "high": found.high}

    return {
        "items": len(items),
        "orders": len(by_order),
        "mean": over([sum(values[item]) / len(values[item]) for item in items]),
        "every_order": over([float(min(values[item]) == 1.0) for item in items]),
        "agreement": over([_agreement(choices[item]) for item in items]),
        "lowest": min(means),
        "highest": max(means),
    }


def _chosen(entry: Scored, answer: str | None) -> str | None:
    """Text of the option that an answer names, so that it can be compared between orders; else the whole answer."""
    options = entry.item.options
    if entry.score.choice is not None:
        return normalise(entry.score.choice)
    place = right_place(answer, options) if answer and answer.strip() else None
    return normalise(options[place]) if place is not None else normalise(answer or "") or None


def _agreement(chosen: Sequence[str | None]) -> float:
    pairs = list(combinations(chosen, 2))
    return sum(a is not None and a == b for a, b in pairs) / len(pairs)
