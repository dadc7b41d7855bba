"""`compare_runs`, `compare_many`: evaluations on the same items, paired."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from osler.errors import EvaluationError
from osler.evaluation import protocols as registry
from osler.evaluation import statistics
from osler.evaluation.predictions import Prediction, asked_item, read_predictions
from osler.evaluation.scores import Scored, compare, score_items

_SETTINGS = ("decoding", "versions", "max_side", "box_format")


class _Run(NamedTuple):
    folder: Path
    scores: dict[str, Any]
    predictions: list[Prediction]


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
    left, right = runs = [_read(Path(first)), _read(Path(second))]
    _same_benchmark(runs)
    scored, shared = _scored(runs, condition)
    differences = {}
    for name in scored[0]:
        result = compare(name, scored[0][name], scored[1][name], seed=seed)
        if result:
            differences[name] = result
    return {
        "first": {"out": str(first), "model": left.scores["model"]},
        "second": {"out": str(second), "model": right.scores["model"]},
        "condition": condition,
        "items": shared,
        "settings_that_differ": _differing(runs),
        "protocols": differences,
    }


def compare_many(folders: Sequence[str | Path], *, condition: str = "real", seed: int = 0) -> dict[str, Any]:
    """Every pair of several evaluations, with p-values corrected for the number of pairs (Holm) within a protocol.

    Args:
        folders: of two evaluations or more of the same task, split and data.
        condition: to compare.
        seed: of the bootstrap.

    Returns:
        `{"runs": [{"name", "out", "model"}], "protocols": {name: {"runs": {run: {"mean", "low", "high", "n"}}, "pairs":
        [difference]}}}` and the further fields of `compare_runs`; each difference has `first`, `second` (names of runs)
        and `p_holm`, and its `mcnemar`, where there is one, too.

    Raises:
        EvaluationError: with fewer than two folders; and as `compare_runs`.
    """
    if len(folders) < 2:
        raise EvaluationError("comparing needs at least two folders that `osler eval` wrote")
    runs = [_read(Path(folder)) for folder in folders]
    _same_benchmark(runs)
    names = _names([run.folder for run in runs])
    scored, shared = _scored(runs, condition)
    table: dict[str, Any] = {}
    for name in scored[0]:
        pairs = []
        for a, b in combinations(range(len(runs)), 2):
            found = compare(name, scored[a][name], scored[b][name], seed=seed)
            if found:
                pairs.append({"first": names[a], "second": names[b], **found})
        if not pairs:
            continue
        for pair, corrected in zip(pairs, statistics.holm([pair["p_value"] for pair in pairs]), strict=True):
            pair["p_holm"] = corrected
        if pairs[0]["mcnemar"]:
            for pair, corrected in zip(
                pairs, statistics.holm([pair["mcnemar"]["p_value"] for pair in pairs]), strict=True
            ):
                pair["mcnemar"]["p_holm"] = corrected
        table[name] = {
            "runs": {run: _mean(own[name], seed) for run, own in zip(names, scored, strict=True)},
            "pairs": pairs,
        }
    return {
        "runs": [
            {"name": name, "out": str(run.folder), "model": run.scores["model"]}
            for name, run in zip(names, runs, strict=True)
        ],
        "task": runs[0].scores["task"],
        "condition": condition,
        "items": shared,
        "level": statistics.LEVEL,
        "power": statistics.POWER,
        "settings_that_differ": _differing(runs),
        "protocols": table,
    }


def _mean(scored: Sequence[Scored], seed: int) -> dict[str, Any]:
    found = statistics.interval(
        [entry.score.value for entry in scored], clusters=[entry.item.cluster for entry in scored], seed=seed
    )
    return {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n, "clusters": found.clusters}


def _names(folders: Sequence[Path]) -> list[str]:
    """Shortest ends of the paths that tell the runs apart."""
    paths = [folder.resolve().parts for folder in folders]
    if len(set(paths)) < len(paths):
        return [f"{number}. {folder.name}" for number, folder in enumerate(folders, start=1)]
    for length in range(1, max(map(len, paths)) + 1):
        names = ["/".join(parts[-length:]) for parts in paths]
        if len(set(names)) == len(names):
            break
    return names


def _differing(runs: Sequence[_Run]) -> list[str]:
    return [key for key in _SETTINGS if any(run.scores.get(key) != runs[0].scores.get(key) for run in runs)]


def _scored(runs: Sequence[_Run], condition: str) -> tuple[list[dict[str, list[Scored]]], int]:
    """Scores of every run under the protocols that all have in the same version, on the items that all have."""
    protocols = [run.scores["conditions"]["real"]["protocols"] for run in runs]
    names = [
        name
        for name, entry in protocols[0].items()
        # what cannot be scored again from answers alone, such as a judge's opinion, is left out
        if registry.can_run(name) and all(other.get(name, {}).get("version") == entry["version"] for other in protocols)
    ]
    answers = [{p.item: p.answer for p in run.predictions if p.condition == condition} for run in runs]
    lacking = [str(run.folder) for run, given in zip(runs, answers, strict=True) if not given]
    if lacking:
        folders = " and ".join(str(run.folder) for run in runs)
        raise EvaluationError(f"condition {condition!r} is not in both of {folders}: {lacking[0]} lacks it")
    shared = set.intersection(*(set(given) for given in answers))
    scored = []
    for run, given in zip(runs, answers, strict=True):
        # each run's own items: models of two families may write boxes in two formats
        items = [asked_item(p) for p in run.predictions if p.condition == condition and p.item in shared]
        scored.append({name: score_items(registry.get(name), items, given) for name in names})
    return scored, len(shared)


def _same_benchmark(runs: Sequence[_Run]) -> None:
    first = _identity(runs[0].scores)
    for run in runs[1:]:
        other = _identity(run.scores)
        differing = [f"{key} is {first[key]} against {other[key]}" for key in first if first[key] != other[key]]
        if differing:
            raise EvaluationError(
                f"{runs[0].folder} and {run.folder} are not comparable, they are runs of different benchmarks: "
                f"{'; '.join(differing)}"
            )


def _identity(scores: dict[str, Any]) -> dict[str, Any]:
    task = {f"task {key}": scores["task"][key] for key in ("name", "version", "split", "convention", "items")}
    return {**task, "data hash": scores["data_hash"][:12]}


def _read(folder: Path) -> _Run:
    path = folder / "scores.json"
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read: {error}; give a folder that an evaluation wrote") from error
    return _Run(folder, scores, read_predictions(folder / "predictions.jsonl"))
