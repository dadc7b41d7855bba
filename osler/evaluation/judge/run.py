"""`judge_run`: judge the answers of an evaluation folder; the scores go into its `scores.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osler.errors import EvaluationError
from osler.evaluation import tasks
from osler.evaluation.judge.calls import JudgeCalls
from osler.evaluation.judge.forms import FORMS, Case, Form, marks_in
from osler.evaluation.judge.summary import Marks, Verdict, summarise
from osler.evaluation.predictions import Prediction, read_predictions
from osler.evaluation.progress import progress_bar
from osler.evaluation.run import Evaluation, write_results
from osler.record_atomic import atomic_write


def judge_run(
    out: str | Path,
    calls: JudgeCalls,
    *,
    forms: Sequence[str] = ("llm-judge",),
    conditions: Sequence[str] = ("real",),
    repeats: int = 1,
    data: str | Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Judge answers of a finished evaluation.

    Every answer of a condition stays in the denominator: one that the model did not give, and one that the judge did
    not mark, score 0 and are counted.

    Args:
        out: folder of the evaluation.
        calls: the judge with its memory.
        forms: names of `FORMS`.
        conditions: of the predictions.
        repeats: how often each prompt is asked, to see whether the judge agrees with itself.
        data: of the run's task: gives the judge the context of each item, scores by the task's groups, and the pictures
            to write the reports anew with.
        progress: show a bar.

    Returns:
        The entries that were written under `judges`: form -> condition -> scores.

    Raises:
        EvaluationError: unknown form or condition, or no evaluation in `out`.
        EndpointError: when the judge cannot be reached or keeps failing.
    """
    out = Path(out)
    unknown = [name for name in forms if name not in FORMS]
    if unknown or repeats < 1:
        told = f"no judge form {unknown[0]!r} (there are: {', '.join(FORMS)})" if unknown else f"repeats is {repeats}"
        raise EvaluationError(told)
    try:
        scores = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(
            f"{out / 'scores.json'}: cannot be read: {error}; give a folder of `osler eval`"
        ) from error
    predictions = read_predictions(out / "predictions.jsonl")
    known = _known(scores, data) if data is not None else {}
    found: dict[str, Any] = {}
    for form in (FORMS[name] for name in forms):
        entry: dict[str, Any] = {"version": form.version, "description": form.description, "judge": calls.settings()}
        entry |= {"orders": form.orders, "repeats": repeats, "conditions": {}}
        for condition in conditions:
            own = [prediction for prediction in predictions if prediction.condition == condition]
            if not own:
                raise EvaluationError(f"{out}: holds no predictions of condition {condition!r}")
            verdicts = _verdicts(own, calls, form, repeats=repeats, known=known, progress=progress)
            entry["conditions"][condition] = summarise(verdicts, seed=scores.get("seed") or 0)
        without = sum(not known.get(p.item, ("", {}))[0] for p in predictions if p.condition == conditions[0])
        entry["warnings"] = [f"{without} items were judged without context."] if form.needs_context and without else []
        found[form.name] = entry
    scores["judges"] = {**scores.get("judges", {}), **found}
    with atomic_write(out / "scores.json") as stream:
        stream.write(json.dumps(scores, indent=1, ensure_ascii=False).encode())
    if data is not None:  # without the data there are no pictures, and the report that has them stays
        images = tasks.get(scores["task"]["name"]).image_folder(Path(data))
        groups = {item: tags for item, (_, tags) in known.items()}
        write_results(Evaluation(scores=scores, predictions=predictions, out=out, image_folder=images, tags=groups))
    return found


def _known(scores: dict[str, Any], data: str | Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Item -> (context, groups), from the records of the run's task."""
    from osler.evaluation.items import to_item

    asked = scores["task"]
    task = tasks.get(asked["name"])
    records = task.select(task.load(Path(data), split=asked["split"], convention=asked["convention"]))
    return {record.id: (task.judge_context(record), dict(to_item(task, record).tags)) for record in records}


def _verdicts(
    predictions: Sequence[Prediction],
    calls: JudgeCalls,
    form: Form,
    *,
    repeats: int,
    known: dict[str, tuple[str, dict[str, str]]],
    progress: bool,
) -> list[Verdict]:
    answered = [prediction for prediction in predictions if (prediction.answer or "").strip()]
    orders = [False, True][: form.orders]  # whether the candidate comes first
    prompts = []
    for prediction in answered:
        context = known.get(prediction.item, ("", {}))[0]
        case = Case(
            question=prediction.question,
            reference=prediction.reference,
            candidate=(prediction.answer or "").strip(),
            context=context,
        )
        prompts += [(repeat, form.ask(case, order)) for order in orders for repeat in range(repeats)]
    with progress_bar(form.name, total=len(prompts), show=progress) as advance:
        said = iter(calls(prompts, advance=advance))
    marks: dict[str, tuple[tuple[Marks | None, ...], ...]] = {}
    for prediction in answered:
        marks[prediction.item] = tuple(
            tuple(_in_place(next(said), candidate_first=order) for _ in range(repeats)) for order in orders
        )
    return [
        Verdict(
            item=prediction.item,
            cluster=" ".join(prediction.images) or prediction.item,
            groups={"question_type": prediction.question_type, **known.get(prediction.item, ("", {}))[1]},
            marks=marks.get(prediction.item, ()),
            unanswered=prediction.item not in marks,
        )
        for prediction in predictions
    ]


def _in_place(said: str | None, *, candidate_first: bool) -> Marks | None:
    found = marks_in(said) if said is not None else None
    if found is None:
        return None
    return (found[1], found[0]) if candidate_first else found
