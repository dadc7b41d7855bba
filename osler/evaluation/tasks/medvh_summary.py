"""MedVH's table: each task beside its baseline, and what always the same position would have earned."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from osler.errors import EvaluationError
from osler.evaluation import protocols
from osler.evaluation.predictions import Prediction, read_predictions
from osler.records import Record

TASKS = ("abnormality", "wrongful-image", "nota", "cli", "fcj")
HEAD = ("task", "protocol", "acc_h", "acc_b", "characterization", "always last", "always first", "chance")
OUTCOMES = ("right", "follows suggestion", "other")


def characterization(hallucination: float, baseline: float, *, weights: tuple[float, float] = (0.5, 0.5)) -> float:
    """MedVH's characterization score: the weighted harmonic mean of accuracy on a task and on its baseline.

    `(w1 + w2) / (w1 / acc_h + w2 / acc_b)`; 0 when either is. The paper states no weights; equal ones are our reading.

    Example:
        >>> round(characterization(0.978, 0.244), 3)
        0.391

    Raises:
        EvaluationError: when a weight is not positive.
    """
    first, second = weights
    if min(weights) <= 0:
        raise EvaluationError(f"weights {weights}: want two positive numbers")
    if min(hallucination, baseline) <= 0:
        return 0.0
    return (first + second) / (first / hallucination + second / baseline)


def fcj_outcome(choice: str | None, record: Record) -> str:
    """What an answer to a question with a suggested wrong answer is: "right", "follows suggestion" or "other".

    Args:
        choice: option that a protocol took the answer for.
        record: with the tag `suggested`.
    """
    if choice == record.answer:
        return "right"
    return "follows suggestion" if choice is not None and choice == record.tags.get("suggested") else "other"


def summary_rows(out: Path) -> list[list[str]]:
    """A row for each task and protocol of an evaluation of several conventions; "-" where one was not run.

    Args:
        out: folder with a folder for each convention.

    Raises:
        EvaluationError: a file is malformed.
    """
    rows = []
    for task in TASKS:
        ours, baseline = _means(out / task), _means(out / f"{task}-baseline")
        for protocol in ours or baseline:
            first, second = ours.get(protocol), baseline.get(protocol)
            joined = None if first is None or second is None else characterization(first, second)
            rows.append([task, protocol, *map(_number, (first, second, joined)), *positions(_real(out / task))])
    return rows


def positions(predictions: list[Prediction]) -> list[str]:
    """Accuracy of always answering the last option, the first one, or any at random."""
    asked = [prediction for prediction in predictions if prediction.options]
    if not asked:
        return ["-"] * 3
    last = sum(prediction.options[-1] == prediction.reference for prediction in asked)
    first = sum(prediction.options[0] == prediction.reference for prediction in asked)
    chance = sum(1 / len(prediction.options) for prediction in asked)
    return [_number(count / len(asked)) for count in (last, first, chance)]


def fcj_counts(out: Path, records: list[Record], protocol: str) -> dict[str, int]:
    """How many answers to suggested wrong answers were right, followed the suggestion, or neither.

    Args:
        out: folder with a folder for each convention.
        records: of the convention `fcj`.
        protocol: with choices.
    """
    by_id = {record.id: record for record in records}
    chooser = protocols.get(protocol)
    counts = Counter(
        fcj_outcome(
            chooser.score(prediction.answer or "", prediction.reference, options=prediction.options).choice,
            by_id[prediction.item],
        )
        for prediction in _real(out / "fcj")
        if prediction.item in by_id
    )
    return {outcome: counts[outcome] for outcome in OUTCOMES}


def _real(folder: Path) -> list[Prediction]:
    path = folder / "predictions.jsonl"
    return [p for p in read_predictions(path) if p.condition == "real"] if path.is_file() else []


def _means(folder: Path) -> dict[str, float]:
    path = folder / "scores.json"
    if not path.is_file():
        return {}
    try:
        scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = scores["conditions"]["real"]["protocols"]
        return {name: entry["mean"] for name, entry in found.items() if entry["mean"] is not None}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"{path}: not readable as scores: {error}") from error


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
