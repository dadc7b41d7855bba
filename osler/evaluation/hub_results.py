"""Results for a model card of the Hugging Face Hub: `model-index` of the README, and `.eval_results/*.yaml`.

Both are written through `huggingface_hub`'s own classes, so that they are what the Hub reads. Values are per cent. What
a score cannot do without (interval, denominator, controls, circumstances) goes with it in `args` and `notes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osler.errors import EvaluationError
from osler.evaluation.report_summary import headline

TASK_TYPE = "visual-question-answering"


def model_index(scores: Mapping[str, Any], *, dataset: str | None = None) -> list[dict[str, Any]]:
    """`model-index` of a README: one metric for each protocol that applied to an item.

    Args:
        scores: content of `scores.json`.
        dataset: id of the data set on the Hub; the task's name by default.
    """
    from huggingface_hub.repocard_data import EvalResult, eval_results_to_model_index

    task, real = scores["task"], scores["conditions"]["real"]["protocols"]
    results = [
        EvalResult(
            task_type=TASK_TYPE,
            task_name=task["description"],
            dataset_type=dataset or task["name"],
            dataset_name=f"{task['name']} ({task['convention']})",
            dataset_config=task["convention"],
            dataset_split=task["split"],
            dataset_args={"data_sha256": scores["data_hash"], "items": task["items"], "images": task["images"]},
            metric_type=name,
            metric_name=f"{name} v{entry['version']}",
            metric_value=_percent(entry["mean"]),
            metric_args=_circumstances(scores, name, entry),
        )
        for name, entry in real.items()
        if entry["n"]
    ]
    name = Path(scores["model"]["name"]).name or scores["model"]["name"]
    return eval_results_to_model_index(name, results) if results else []


def _percent(value: float) -> float:
    return round(100 * value, 2)


def _circumstances(scores: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    controls = {}
    for condition, found in scores["conditions"].items():
        other = found["protocols"].get(name)
        if condition != "real" and other and other["n"]:
            controls[condition] = _percent(other["mean"])
    return {
        "interval_95": [_percent(entry["low"]), _percent(entry["high"])],
        "n": entry["n"],
        "not_parsed": entry["failures"],
        "refusals": entry["refusals"],
        "controls": controls,
    }


def eval_results(
    scores: Mapping[str, Any],
    *,
    dataset: str,
    task_id: str = "default",
    revision: str | None = None,
    protocol: str | None = None,
) -> list[dict[str, Any]]:
    """Content of a file in a model repository's `.eval_results`: one value with its circumstances as notes.

    Args:
        scores: content of `scores.json`.
        dataset: id of the benchmark on the Hub, for instance "flaviagiammarino/vqa-rad".
        task_id: of the benchmark's `eval.yaml`.
        revision: commit of the data set.
        protocol: whose mean is the value; the headline's by default.

    Raises:
        EvaluationError: when the id is none, or the protocol has no score.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(dataset)
    except HFValidationError as error:
        raise EvaluationError(f"{dataset!r} is no id of a data set on the Hub: {error}") from error
    name = protocol or headline(scores)
    entry = scores["conditions"]["real"]["protocols"].get(name)
    if name is None or entry is None or not entry["n"]:
        raise EvaluationError(f"protocol {name!r} has no score here; choose one of the run")
    found = _circumstances(scores, name, entry)
    low, high = found["interval_95"]
    controls = ", ".join(f"{key} {value}" for key, value in found["controls"].items())
    notes = (
        f"{name} v{entry['version']}, {scores['task']['split']} ({scores['task']['convention']}), n {entry['n']}, "
        f"95% interval {low} to {high}, {entry['failures']} not parsed"
        + (f"; controls: {controls}" if controls else "")
    )
    entries = [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=task_id,
            value=_percent(entry["mean"]),
            dataset_revision=revision,
            date=scores.get("run", {}).get("finished"),
            notes=notes,
        )
    ]
    written: list[dict[str, Any]] = eval_result_entries_to_yaml(entries)
    return written


def to_yaml(content: Any) -> str:
    """YAML as the Hub's own client writes it."""
    from huggingface_hub.utils import yaml_dump

    return str(yaml_dump(content, sort_keys=False))
