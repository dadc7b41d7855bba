"""`evaluate`: a model on a task, with controls, resumable, down to `scores.json` and `report.html`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from osler.errors import EvaluationError
from osler.evaluation import fingerprints
from osler.evaluation.controls import WITHOUT_MODEL, Control
from osler.evaluation.items import Item, to_item, to_request
from osler.evaluation.option_orders import ORDERS
from osler.evaluation.plan import Plan, make_plan
from osler.evaluation.predictions import FAILED, Prediction, PredictionLog, prediction_of
from osler.evaluation.progress import progress_bar
from osler.evaluation.scores import assemble_scores
from osler.evaluation.tasks.base import Task
from osler.records import Record

if TYPE_CHECKING:
    from osler.evaluation.runners.base import Runner

Decoding = Literal["generate", "options"]
_CHUNK_BATCHES = 4  # answers are on the disk after so many batches; a crash loses no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Result of an evaluation.

    Args:
        scores: content of `scores.json` (docs/schema_scores.md).
        predictions: all of them, in the order of the file.
        out: folder with `scores.json`, `predictions.jsonl`, `run.json` and `report.html`.
        image_folder: where the images of the items are, for reports.
        tags: item -> group -> value, for reports.
    """

    scores: dict[str, Any]
    predictions: list[Prediction] = field(repr=False)
    out: Path
    image_folder: Path
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    @property
    def report(self) -> Path:
        """Path of the HTML report."""
        return self.out / "report.html"


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
    max_new_tokens: int | None = None,
    max_side: int | None = None,
    controls: Sequence[Control] | None = None,
    training: Sequence[Record] | None = None,
    image_folder: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    box_format: str | None = None,
    orders: int = ORDERS,
    decoding: Decoding = "generate",
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
        max_new_tokens: length limit of an answer; the task's by default.
        max_side: shrink images to this long side in pixels before the model's processor sees them.
        controls: any of "blank", "noise", "shuffled", "text-only", "majority", of items with options "position" and
            "options-shuffled", and of grounding "centre-box" and "mean-box"; ("all",) for all that apply. By default
            blank, shuffled and majority, and those of the rest that need no model.
        training: records that the model learned from, instead of the task's own training part: for the majority
            control and the warning about shared images.
        image_folder: that image paths are relative to, instead of the task's own.
        device: torch device.
        dtype: "float32", "bfloat16" or "float16"; float32 on the CPU by default.
        box_format: of grounding tasks: the format that the model writes boxes in (`osler.box_formats`), where it is not
            that of the records; boxes in questions and references are then written in it too.
        orders: further orders of the options under "options-shuffled".
        decoding: "generate" a text, or, where an item has options, answer with the likeliest of them ("options").
        seed: of shuffling, noise, limit and bootstrap.
        resume: continue predictions that lie in `out`, and ask again what failed; False starts anew.
        progress: show a bar with the time left.

    Raises:
        EvaluationError: unknown task, split, control; items that cannot be scored; `out` holds another run.
        RecordError, SourceError, ImageError, ModelError: from the parts.

    Example:
        >>> result = evaluate("runs/demo/model", "vqa-rad", data="vqa_rad", out="runs/eval")  # doctest: +SKIP
        >>> result.scores["conditions"]["real"]["protocols"]["yes-no"]["mean"]
    """
    if decoding not in get_args(Decoding):
        raise EvaluationError(f"decoding {decoding!r} is none of {', '.join(get_args(Decoding))}")
    plan = make_plan(
        task, data=data, split=split, convention=convention, limit=limit, controls=controls, training=training,
        image_folder=image_folder, seed=seed, box_format=box_format, orders=orders,
    )  # fmt: skip
    if decoding == "options" and not any(plan.task.option_answers(record) for record in plan.records):
        raise EvaluationError(f"task {plan.task.name} has no options to choose from; leave decoding='options' out")
    max_new_tokens = plan.task.max_new_tokens if max_new_tokens is None else max_new_tokens
    runner = _runner(model, batch_size=batch_size, max_new_tokens=max_new_tokens, device=device, dtype=dtype)
    settings = {
        "model": {"name": runner.name, "fingerprint": runner.fingerprint()},
        "task": {"name": plan.task.name, "version": plan.task.version, "split": split, "convention": plan.convention},
        "data_hash": plan.data_hash,
        "limit": limit,
        "max_side": max_side,
        **({"box_format": box_format} if plan.task.states_boxes else {}),
        "seed": seed,
        "decoding": {**runner.settings(), **({"answers": "likeliest option"} if decoding == "options" else {})},
        "versions": fingerprints.versions(),
    }
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    claim(out, settings, resume=resume)
    started = time.monotonic()
    with PredictionLog(out / "predictions.jsonl", resume=resume) as log:
        log.forget(lambda prediction: (prediction.note or "").startswith(FAILED))
        kept = len(log.predictions)
        _ask_all(
            plan, runner, log, batch_size=batch_size, max_side=max_side, decoding=decoding, progress=progress, seed=seed
        )
        wanted, conditions = {item.id for item in plan.items}, {"real", *plan.conditions}
        predictions = [p for p in log.predictions.values() if p.condition in conditions and p.item in wanted]
    scores = assemble_scores(plan, settings, predictions, seed=seed)
    scores["run"] = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 1),
        "resumed_predictions": kept,
    }
    return write_results(
        Evaluation(scores=scores, predictions=predictions, out=out, image_folder=plan.image_folder, tags=plan.tags)
    )


def _runner(model: Any, *, batch_size: int, max_new_tokens: int, device: str | None, dtype: str | None) -> Runner:
    if isinstance(model, (str, Path, tuple)):
        from osler.evaluation.runners.local import LocalRunner

        return LocalRunner(model, batch_size=batch_size, max_new_tokens=max_new_tokens, device=device, dtype=dtype)
    return model  # type: ignore[no-any-return]


def claim(out: Path, settings: dict[str, Any], *, resume: bool) -> None:
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
    batch_size: int,
    max_side: int | None,
    decoding: Decoding,
    progress: bool,
    seed: int,
) -> None:
    jobs: list[tuple[str, Item]] = []
    donors = plan.shuffle.donors if plan.shuffle else {}
    some = {"shuffled": donors, **plan.orders}  # conditions that not every item takes part in
    for condition in ("real", *plan.conditions):
        for item in plan.items:
            usable = condition not in WITHOUT_MODEL and (condition not in some or item.id in some[condition])
            if usable and not log.has(item.id, condition):
                asked = to_item(plan.task, plan.record(item.id, condition)) if condition in plan.orders else item
                jobs.append((condition, asked))
    for control, fixed in plan.without_model.items():
        for item in plan.items:
            if not log.has(item.id, control):
                text, fell_back = fixed.answer(plan.record(item.id))
                log.add([prediction_of(item, control, text, note="fall-back" if fell_back else None)], sync=False)
    # Questions about one picture come together, so that it is read and computed once; pictures by length of question.
    lengths: dict[tuple[str, ...], list[int]] = {}
    for item in plan.items:
        lengths.setdefault(item.images, []).append(len(item.question))
    means = {images: sum(own) / len(own) for images, own in lengths.items()}
    jobs.sort(key=lambda job: (job[0] != "real", job[0], means[job[1].images], job[1].images, job[1].id))
    size = batch_size * _CHUNK_BATCHES
    with progress_bar(f"{plan.task.name}: answers", total=len(jobs), show=progress) as advance:
        for start in range(0, len(jobs), size):
            chunk = jobs[start : start + size]
            requests = [
                to_request(
                    plan.task,
                    plan.record(item.id, condition),
                    image_folder=plan.image_folder,
                    max_side=max_side,
                    condition=condition,
                    images_of=donors[item.id] if condition == "shuffled" else None,
                    seed=seed,
                )
                for condition, item in chunk
            ]
            if decoding == "options":
                chosen = [plan.task.option_answers(plan.record(item.id, condition)) for condition, item in chunk]
                requests = [replace(request, options=own) for request, own in zip(requests, chosen, strict=True)]
            answered = runner.answer(requests)
            if len(answered) != len(chunk):
                raise EvaluationError(f"the runner gave {len(answered)} answers to {len(chunk)} prompts")
            written = []
            for (condition, item), answer in zip(chunk, answered, strict=True):
                shown = donors[item.id].id if condition == "shuffled" else None
                failed = answer.failure is not None
                written.append(
                    prediction_of(
                        item,
                        condition,
                        None if failed else answer.text,
                        answer=None if failed else answer,
                        shown=shown,
                        note=f"{FAILED}: {answer.failure}" if failed else None,
                    )
                )
            log.add(written)
            advance(len(chunk))


def write_results(evaluation: Evaluation) -> Evaluation:
    """Write `scores.json`, `report.html`, `report.md` and `model-index.yaml` into the evaluation's folder."""
    from osler.evaluation.hub_results import model_index, to_yaml
    from osler.evaluation.report import report_evaluation
    from osler.evaluation.report_markdown import report_markdown

    text = json.dumps(evaluation.scores, indent=1, ensure_ascii=False)
    (evaluation.out / "scores.json").write_text(text, encoding="utf-8")
    report_evaluation(evaluation)
    (evaluation.out / "report.md").write_text(report_markdown(evaluation.scores), encoding="utf-8", errors="replace")
    index = to_yaml({"model-index": model_index(evaluation.scores)})
    (evaluation.out / "model-index.yaml").write_text(index, encoding="utf-8")
    return evaluation
