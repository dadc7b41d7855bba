"""`score_answers`: score a published answer file without its model."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osler.errors import EvaluationError
from osler.evaluation import fingerprints
from osler.evaluation import tasks as task_registry
from osler.evaluation.plan import make_plan
from osler.evaluation.predictions import Prediction, PredictionLog, prediction_of
from osler.evaluation.run import Evaluation, claim, write_results
from osler.evaluation.scores import assemble_scores
from osler.evaluation.tasks.base import Task

_IDS = ("question_id", "id", "item", "qid")
_TEXTS = ("text", "answer", "prediction")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFile:
    """Answers of a file by item id.

    Args:
        answers: id -> text; an id with contradicting answers is absent here.
        duplicates: ids that occur more than once.
        contradictions: those among them whose answers differ.
    """

    answers: dict[str, str]
    duplicates: tuple[str, ...]
    contradictions: tuple[str, ...]


def read_answers(path: str | Path) -> AnswerFile:
    """Read JSON Lines (LLaVA-Med's `question_id` and `text`, or `id` and `answer`), a list of such, or `{id: text}`.

    Raises:
        EvaluationError: for an unreadable file or a line without id or text; names file and line.
    """
    path = Path(path)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path}: cannot be read: {error}") from error
    pairs: list[tuple[str, str]] = []
    for number, entry in _entries(path, content):
        if not isinstance(entry, dict):
            raise EvaluationError(f"{path}:{number}: a {type(entry).__name__}, not an object with id and text")
        name = next((key for key in _IDS if key in entry), None)
        text = next((key for key in _TEXTS if isinstance(entry.get(key), (str, int, float))), None)
        if name is None or text is None:
            missing = f"an id ({', '.join(_IDS)})" if name is None else f"an answer ({', '.join(_TEXTS)})"
            raise EvaluationError(
                f"{path}:{number}: holds no {missing}; it has {', '.join(sorted(entry)) or 'nothing'}"
            )
        pairs.append((str(entry[name]), str(entry[text])))
    if not pairs:
        raise EvaluationError(f"{path}: holds no answers")
    counts = Counter(item for item, _ in pairs)
    different = Counter(item for item, _ in set(pairs))
    contradictions = tuple(sorted(item for item, count in different.items() if count > 1))
    return AnswerFile(
        answers={item: text for item, text in pairs if item not in contradictions},
        duplicates=tuple(sorted(item for item, count in counts.items() if count > 1)),
        contradictions=contradictions,
    )


def _entries(path: Path, content: str) -> list[tuple[int, Any]]:
    try:
        whole = json.loads(content)
    except ValueError:
        entries = []
        for number, line in enumerate(content.splitlines(), start=1):
            if line.strip():
                try:
                    entries.append((number, json.loads(line)))
                except ValueError as error:
                    raise EvaluationError(f"{path}:{number}: not JSON: {error}") from error
        return entries
    if isinstance(whole, list):
        return list(enumerate(whole, start=1))
    if isinstance(whole, dict) and not any(key in whole for key in _IDS):
        return [(number, {"id": key, "answer": text}) for number, (key, text) in enumerate(whole.items(), start=1)]
    return [(1, whole)]


def score_answers(
    answers: str | Path,
    task: str | Task,
    *,
    data: str | Path,
    out: str | Path,
    split: str = "test",
    convention: str | None = None,
    allow_incomplete: bool = False,
    id_prefix: str = "",
    image_folder: str | Path | None = None,
    box_format: str | None = None,
    seed: int = 0,
) -> Evaluation:
    """Score answers that another program wrote. Controls that need no model are added.

    Every item of the split stays in the denominator. Unknown, missing and contradicting ids stop the scoring; with
    `allow_incomplete` they are counted in the warnings instead, and a missing or contradicting answer scores 0.

    Args:
        answers: file, see `read_answers`.
        task: name of a task, or a task.
        data: where the task finds its records.
        out: folder for the results.
        split: of the task.
        convention: way to split; the task's first by default.
        allow_incomplete: see above.
        id_prefix: put before every id of the file, for instance "vqa-rad-" where the file has bare numbers.
        image_folder: that image paths are relative to, instead of the task's own.
        box_format: of grounding tasks: the format that the answers write boxes in, where it is not the records' own.
        seed: of the bootstrap.

    Raises:
        EvaluationError: see above; names how many and the first three.
    """
    given = read_answers(answers)
    task = task_registry.get(task) if isinstance(task, str) else task
    plan = make_plan(
        task, data=data, split=split, convention=convention, limit=None, controls=None, training=None,
        image_folder=image_folder, seed=seed, box_format=box_format, without_model=True,
    )  # fmt: skip
    texts = {id_prefix + item: text for item, text in given.answers.items()}
    contradictions = {id_prefix + item for item in given.contradictions}
    wanted = {item.id for item in plan.items}
    faults = {
        "unknown to the task": sorted((texts.keys() | contradictions) - wanted),
        "missing from the file": sorted(wanted - texts.keys() - contradictions),
        "answered twice and differently": sorted(contradictions & wanted),
    }
    told = [
        f"{len(items)} items are {name} ({', '.join(items[:3])}{', ...' if len(items) > 3 else ''})"
        for name, items in faults.items()
        if items
    ]
    if told and not allow_incomplete:
        raise EvaluationError(
            f"{answers}: {'; '.join(told)}. The task's ids look like {plan.items[0].id!r}. Give the right split, "
            "convention or id_prefix, or allow_incomplete=True to count missing answers as wrong"
        )
    settings = {
        "model": {"name": f"answer file {Path(answers).name}", "fingerprint": fingerprints.hash_file(answers)},
        "task": {"name": plan.task.name, "version": plan.task.version, "split": split, "convention": plan.convention},
        "data_hash": plan.data_hash,
        "limit": None,
        "max_side": None,
        **({"box_format": box_format} if plan.task.states_boxes else {}),
        "seed": seed,
        "decoding": {"decoding": "unknown: answers were read from a file"},
        "versions": fingerprints.versions(),
    }
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    claim(out, settings, resume=False)
    by_id = dict(zip((item.id for item in plan.items), plan.records, strict=True))
    predictions: list[Prediction] = [prediction_of(item, "real", texts.get(item.id)) for item in plan.items]
    for control, fixed in plan.without_model.items():
        for item in plan.items:
            text, fell = fixed.answer(by_id[item.id])
            predictions.append(prediction_of(item, control, text, note="fall-back" if fell else None))
    with PredictionLog(out / "predictions.jsonl", resume=False) as log:
        log.add(predictions)
    scores = assemble_scores(plan, settings, predictions, seed=seed)
    scores["warnings"] += [f"{fault}; counted as wrong where an answer is lacking." for fault in told]
    if given.duplicates:
        scores["warnings"].append(f"{len(given.duplicates)} ids occur more than once in the answer file.")
    scores["warnings"].append("Blank and shuffled controls were not run: they need the model, not its answers.")
    scores["faults"] = {name: len(items) for name, items in faults.items()}
    return write_results(
        Evaluation(scores=scores, predictions=predictions, out=out, image_folder=plan.image_folder, tags=plan.tags)
    )
