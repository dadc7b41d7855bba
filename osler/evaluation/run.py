"""`evaluate`: a model on a task, with controls, resumable, down to `scores.json` and `report.html`."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.errors import EvaluationError
from osler.evaluation import fingerprints, statistics
from osler.evaluation import tasks as task_registry
from osler.evaluation.controls import CONTROLS, Control, MajorityAnswers, Shuffle, majority_answers, shuffle_images
from osler.evaluation.items import Item, to_item, to_request
from osler.evaluation.predictions import Prediction, PredictionLog
from osler.evaluation.progress import progress_bar
from osler.evaluation.scores import SCHEMA_VERSION, score_conditions
from osler.evaluation.tasks.base import Task
from osler.records import Record

if TYPE_CHECKING:
    from osler.evaluation.runners.base import Answer, Runner

DISCLAIMER = "Research results. Not for clinical use: no number here says that a model is safe for a patient."
_CHUNK_BATCHES = 4  # answers are on the disk after so many batches; a crash loses no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Result of an evaluation.

    Args:
        scores: content of `scores.json` (docs/schema_scores.md).
        predictions: all of them, in the order of the file.
        out: folder with `scores.json`, `predictions.jsonl`, `run.json` and `report.html`.
        image_folder: where the images of the items are, for reports.
    """

    scores: dict[str, Any]
    predictions: list[Prediction] = field(repr=False)
    out: Path
    image_folder: Path

    @property
    def report(self) -> Path:
        """Path of the HTML report."""
        return self.out / "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything known before a model is loaded: items, training records, substitutes, warnings."""

    task: Task
    split: str
    convention: str
    image_folder: Path
    records: list[Record]
    items: list[Item]
    total: int
    data_hash: str
    shuffle: Shuffle | None
    majority: MajorityAnswers | None
    warnings: tuple[str, ...]
    shared_images: int | None
    """Test images that the training part holds too; None when the training part is unknown."""


def evaluate(
    model: str | Path | tuple[Any, Any] | Runner,
    task: str | Task,
    *,
    data: str | Path,
    out: str | Path,
    split: str = "test",
    convention: str | None = None,
    limit: int | None = None,
    batch_size: int = 8,
    max_new_tokens: int = 32,
    max_side: int | None = None,
    controls: Sequence[Control] = CONTROLS,
    training: Sequence[Record] | None = None,
    image_folder: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int = 0,
    resume: bool = True,
    progress: bool = True,
) -> Evaluation:
    """Ask a model all questions of a task, under the real images and under controls, and score the answers.

    Answers are written as they come; running the same call again continues after a crash. Decoding is greedy.

    Args:
        model: model folder, (model, processor), or any `Runner` (then its own batch size and limits count).
        task: name of a task, or a task.
        data: where the task finds its records.
        out: folder for the results; made if absent.
        split: of the task; "dev" while choosing a checkpoint, "test" once at the end.
        convention: way to split; the task's first by default.
        limit: only so many items, chosen by hash of id and seed (not the first ones of the file).
        batch_size: prompts in one forward pass.
        max_new_tokens: length limit of an answer.
        max_side: shrink images to this long side in pixels before the model's processor sees them.
        controls: any of "blank", "shuffled", "majority".
        training: records that the model learned from, instead of the task's own training part: for the majority
            control and the warning about shared images.
        image_folder: that image paths are relative to, instead of the task's own.
        device: torch device.
        dtype: "float32", "bfloat16" or "float16"; float32 on the CPU by default.
        seed: of shuffling, limit and bootstrap.
        resume: continue predictions that lie in `out`; False starts anew.
        progress: show a bar with the time left.

    Raises:
        EvaluationError: unknown task, split, control; items that cannot be scored; `out` holds another run.
        RecordError, SourceError, ImageError, ModelError: from the parts.

    Example:
        >>> result = evaluate("runs/demo/model", "vqa-rad", data="vqa_rad", out="runs/eval")  # doctest: +SKIP
        >>> result.scores["conditions"]["real"]["protocols"]["yes-no"]["mean"]
    """
    unknown = [control for control in controls if control not in CONTROLS]
    if unknown:
        raise EvaluationError(f"no control {unknown[0]!r} (there are: {', '.join(CONTROLS)})")
    plan = make_plan(
        task, data=data, split=split, convention=convention, limit=limit, controls=controls, training=training,
        image_folder=image_folder, seed=seed,
    )  # fmt: skip
    runner = _runner(model, batch_size=batch_size, max_new_tokens=max_new_tokens, device=device, dtype=dtype)
    settings = {
        "model": {"name": runner.name, "fingerprint": runner.fingerprint()},
        "task": {"name": plan.task.name, "version": plan.task.version, "split": split, "convention": plan.convention},
        "data_hash": plan.data_hash,
        "limit": limit,
        "max_side": max_side,
        "seed": seed,
        "decoding": runner.settings(),
        "versions": fingerprints.versions(),
    }
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, settings, resume=resume)
    started = time.monotonic()
    with PredictionLog(out / "predictions.jsonl", resume=resume) as log:
        kept = len(log.predictions)
        _ask_all(plan, runner, log, controls=controls, batch_size=batch_size, max_side=max_side, progress=progress)
        wanted = {item.id for item in plan.items}
        predictions = [p for p in log.predictions.values() if p.condition in {"real", *controls} and p.item in wanted]
    scores = _scores(plan, settings, predictions, seed=seed)
    scores["run"] = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 1),
        "resumed_predictions": kept,
    }
    return write_results(Evaluation(scores=scores, predictions=predictions, out=out, image_folder=plan.image_folder))


def make_plan(
    task: str | Task,
    *,
    data: str | Path,
    split: str,
    convention: str | None,
    limit: int | None,
    controls: Sequence[Control],
    training: Sequence[Record] | None,
    image_folder: str | Path | None,
    seed: int,
) -> Plan:
    """Read and check everything that needs no model, so that a fault shows before a model is loaded.

    Raises:
        EvaluationError: no items, unknown convention, items that cannot be scored, absent images.
    """
    task = task_registry.get(task) if isinstance(task, str) else task
    convention = convention or task.conventions[0]
    if convention not in task.conventions:
        raise EvaluationError(f"task {task.name}: no convention {convention!r} ({', '.join(task.conventions)})")
    data = Path(data)
    if not data.exists():
        raise EvaluationError(f"{data}: there is no such file or folder; give the data of task {task.name!r}")
    everything = task.load(data, split=split, convention=convention)
    if not everything:
        raise EvaluationError(f"task {task.name}: split {split!r} of {data} holds no records")
    problems = task.validate(everything)
    if problems:
        shown = "; ".join(f"{p.item}: {p.reason}" + (f" ({p.protocol})" if p.protocol else "") for p in problems[:3])
        raise EvaluationError(f"task {task.name}: {len(problems)} items cannot be scored: {shown}; mend or remove them")
    if limit is not None and limit < 1:
        raise EvaluationError(f"limit is {limit}; want at least 1")
    chosen = {record.id for record in sorted(everything, key=lambda record: _order(seed, record.id))[:limit]}
    records = [record for record in everything if record.id in chosen]
    folder = Path(image_folder) if image_folder is not None else task.image_folder(data)
    learned = list(training) if training is not None else _training(task, data, split=split, convention=convention)
    warnings = []
    if limit is not None and limit < len(everything):
        warnings.append(f"Only {len(records)} of {len(everything)} items were asked (limit).")
    longer = sum(sum(turn.role == "assistant" for turn in record.turns) > 1 for record in records)
    if longer:
        warnings.append(f"{longer} records hold several questions; only the first of each was asked.")
    shared = None
    if learned is None:
        warnings.append("The training part is unknown: whether test images were trained on could not be checked.")
    else:
        trained_on = {image.path for record in learned for image in record.images}
        shown_images = {image.path for record in records for image in record.images}
        shared = len(trained_on & shown_images)
        if shared:
            warnings.append(
                f"{shared} of {len(shown_images)} test images are in the training part too: for a model trained on "
                "that part these scores measure answering about known pictures. Report an image-disjoint split beside."
            )
    if "majority" in controls and not learned:
        warnings.append("The majority control was not run: it needs training records, and there are none.")
    return Plan(
        task=task,
        split=split,
        convention=convention,
        image_folder=folder,
        records=records,
        items=[to_item(task, record) for record in records],
        total=len(everything),
        data_hash=fingerprints.hash_data(records, folder),
        shuffle=shuffle_images(records, pool=everything, reference=task.reference, seed=seed)
        if "shuffled" in controls
        else None,
        majority=majority_answers(learned, reference=task.reference) if "majority" in controls and learned else None,
        warnings=tuple(warnings),
        shared_images=shared,
    )


def _order(seed: int, item: str) -> str:
    return hashlib.sha256(f"{seed}\x1f{item}".encode()).hexdigest()


def _training(task: Task, data: Path, *, split: str, convention: str) -> list[Record] | None:
    return None if split == "train" else task.training(data, convention=convention)


def _runner(model: Any, *, batch_size: int, max_new_tokens: int, device: str | None, dtype: str | None) -> Runner:
    if isinstance(model, (str, Path, tuple)):
        from osler.evaluation.runners.local import LocalRunner

        return LocalRunner(model, batch_size=batch_size, max_new_tokens=max_new_tokens, device=device, dtype=dtype)
    return model  # type: ignore[no-any-return]


def _claim(out: Path, settings: dict[str, Any], *, resume: bool) -> None:
    """Write `run.json`, or compare with the one that is there."""
    path = out / "run.json"
    if resume and path.is_file() and (out / "predictions.jsonl").is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise EvaluationError(f"{path}: not readable; start anew with resume=False or another out") from error
        changed = sorted(_differences(before, settings))
        if changed:
            raise EvaluationError(
                f"{out}: holds predictions of another run; different: {', '.join(changed)}. "
                "Give another out folder, or resume=False to start anew here"
            )
        return
    content = {"settings": settings, "hash": fingerprints.hash_json(settings)}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    if (out / "predictions.jsonl").is_file():
        (out / "predictions.jsonl").unlink()  # answers of unknown settings are never mixed with known ones


def _differences(before: Any, now: Any, name: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted({*before, *now})
        return [d for key in keys for d in _differences(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))]
    return [] if before == now else [f"{name} ({before!r} then, {now!r} now)"]


def _ask_all(
    plan: Plan,
    runner: Runner,
    log: PredictionLog,
    *,
    controls: Sequence[Control],
    batch_size: int,
    max_side: int | None,
    progress: bool,
) -> None:
    by_id = dict(zip((item.id for item in plan.items), plan.records, strict=True))
    jobs: list[tuple[str, Item]] = []
    for condition in ("real", *(control for control in CONTROLS if control in controls)):
        for item in plan.items:
            usable = condition != "shuffled" or (plan.shuffle is not None and item.id in plan.shuffle.donors)
            if usable and not log.has(item.id, condition) and condition != "majority":
                jobs.append((condition, item))
    if plan.majority and "majority" in controls:
        for item in plan.items:
            if not log.has(item.id, "majority"):
                text, fell_back = plan.majority.answer(by_id[item.id])
                log.add([_prediction(item, "majority", text, note="fall-back" if fell_back else None)], sync=False)
    # One order for all conditions, by length, so that batches hold prompts of like length.
    jobs.sort(key=lambda job: (job[0] != "real", job[0], len(job[1].question), job[1].id))
    size = batch_size * _CHUNK_BATCHES
    with progress_bar(f"{plan.task.name}: answers", total=len(jobs), show=progress) as advance:
        for start in range(0, len(jobs), size):
            chunk = jobs[start : start + size]
            donors = plan.shuffle.donors if plan.shuffle else {}
            requests = [
                to_request(
                    plan.task,
                    by_id[item.id],
                    image_folder=plan.image_folder,
                    max_side=max_side,
                    blank=condition == "blank",
                    images_of=donors[item.id] if condition == "shuffled" else None,
                )
                for condition, item in chunk
            ]
            answered = runner.answer(requests)
            if len(answered) != len(chunk):
                raise EvaluationError(f"the runner gave {len(answered)} answers to {len(chunk)} prompts")
            written = []
            for (condition, item), answer in zip(chunk, answered, strict=True):
                shown = donors[item.id].id if condition == "shuffled" else None
                written.append(_prediction(item, condition, answer.text, answer=answer, shown=shown))
            log.add(written)
            advance(len(chunk))


def _prediction(
    item: Item,
    condition: str,
    text: str | None,
    *,
    answer: Answer | None = None,
    shown: str | None = None,
    note: str | None = None,
) -> Prediction:
    return Prediction(
        item=item.id,
        condition=condition,
        answer=text,
        question=item.question,
        reference=item.reference,
        question_type=item.question_type,
        answer_type=item.answer_type,
        images=item.images,
        shown=shown,
        tokens=answer.tokens if answer else None,
        finished=answer.finished if answer else None,
        note=note,
    )


def _scores(plan: Plan, settings: dict[str, Any], predictions: list[Prediction], *, seed: int) -> dict[str, Any]:
    warnings = list(plan.warnings)
    cut = sum(p.finished is False for p in predictions if p.condition == "real")
    if cut:
        warnings.append(f"{cut} of {len(plan.items)} answers were cut at the length limit.")
    clusters = len({item.cluster for item in plan.items})
    if clusters < 20:
        warnings.append(f"Only {clusters} different images: the intervals are too narrow.")
    scored = score_conditions(plan.items, predictions, plan.task.protocols, seed=seed)
    controls: dict[str, Any] = {}
    if plan.shuffle is not None:
        without = plan.shuffle.without_partner
        controls["shuffled"] = {"paired": len(plan.shuffle.donors), "without_partner": len(without), "seed": seed}
    if plan.majority is not None:
        fallbacks = sum(p.note == "fall-back" for p in predictions if p.condition == "majority")
        controls["majority"] = {
            "computed_on": "training records",
            "training_records": plan.majority.trained_on,
            "fall_backs": fallbacks,
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


def write_results(evaluation: Evaluation) -> Evaluation:
    """Write `scores.json` and `report.html` into the evaluation's folder."""
    from osler.evaluation.report import report_evaluation

    text = json.dumps(evaluation.scores, indent=1, ensure_ascii=False)
    (evaluation.out / "scores.json").write_text(text, encoding="utf-8")
    report_evaluation(evaluation)
    return evaluation
