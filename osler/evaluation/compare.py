"""`compare_runs`: two evaluations on the same items, paired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from osler.errors import EvaluationError
from osler.evaluation import protocols as registry
from osler.evaluation.items import Item
from osler.evaluation.predictions import Prediction, read_predictions
from osler.evaluation.scores import compare, score_items


def compare_runs(first: str | Path, second: str | Path, *, condition: str = "real", seed: int = 0) -> dict[str, Any]:
    """Paired differences (first minus second) of two evaluation folders, per protocol.

    Args:
        first: folder of an evaluation.
        second: folder of another evaluation of the same task, split and data.
        condition: to compare.
        seed: of the bootstrap.

    Returns:
        `{"first": {...}, "second": {...}, "settings_that_differ": [...], "protocols": {name: difference}}`, each
        difference as in `differences` of docs/schema_scores.md.

    Raises:
        EvaluationError: when a folder holds no evaluation, or tasks or data differ: such numbers are not comparable.
    """
    left, right = _read(Path(first)), _read(Path(second))
    for key in ("task", "data_hash"):
        a, b = (_identity(scores)[key] for scores, _ in (left, right))
        if a != b:
            raise EvaluationError(f"{first} and {second} are not comparable: {key} differs ({a} against {b})")
    names = [
        name
        for name, entry in left[0]["conditions"]["real"]["protocols"].items()
        if right[0]["conditions"]["real"]["protocols"].get(name, {}).get("version") == entry["version"]
        and registry.can_run(name)
    ]
    answers = [{p.item: p.answer for p in run[1] if p.condition == condition} for run in (left, right)]
    if not answers[0] or not answers[1]:
        raise EvaluationError(f"condition {condition!r} is not in both of {first} and {second}")
    # each run's own items: models of two families may write boxes in two formats
    shared = answers[0].keys() & answers[1].keys()
    items = [[_item(p) for p in run[1] if p.condition == condition and p.item in shared] for run in (left, right)]
    differences = {}
    for name in names:
        scored = [score_items(registry.get(name), own, given) for own, given in zip(items, answers, strict=True)]
        result = compare(name, scored[0], scored[1], seed=seed)
        if result:
            differences[name] = result
    settings = ("decoding", "versions", "max_side", "box_format")
    differing = [key for key in settings if left[0].get(key) != right[0].get(key)]
    return {
        "first": {"out": str(first), "model": left[0]["model"]},
        "second": {"out": str(second), "model": right[0]["model"]},
        "condition": condition,
        "items": len(shared),
        "settings_that_differ": differing,
        "protocols": differences,
    }


def _identity(scores: dict[str, Any]) -> dict[str, Any]:
    task = scores["task"]
    return {
        "task": {key: task[key] for key in ("name", "version", "split", "convention", "items")},
        "data_hash": scores["data_hash"],
    }


def _read(folder: Path) -> tuple[dict[str, Any], list[Prediction]]:
    path = folder / "scores.json"
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read: {error}; give a folder that an evaluation wrote") from error
    return scores, read_predictions(folder / "predictions.jsonl")


def _item(prediction: Prediction) -> Item:
    return Item(
        id=prediction.item,
        question=prediction.question,
        reference=prediction.reference,
        question_type=prediction.question_type,
        answer_type=prediction.answer_type,
        images=prediction.images,
        cluster=" ".join(prediction.images) or prediction.item,
        options=prediction.options,
        regions=prediction.regions,
    )
