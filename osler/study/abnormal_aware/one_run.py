"""One run of the study: tune, or take the tuned start and learn from rewards or from more of the same; then test."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from osler.evaluation.controls import Control
from osler.study.abnormal_aware.base import base_folder, settings
from osler.study.abnormal_aware.data import prepare
from osler.study.abnormal_aware.grid import RECIPES, VARIANTS, Data, Run
from osler.study.grid import StudyError
from osler.training.recipe import Recipe, load, parse

SCHEMA = 1
CONTROLS: tuple[Control, ...] = ("blank", "centre-box", "mean-box")
MARKS = {"iou": "grounding-iou", "acc50": "grounding-acc50", "dice": "grounding-dice", "named": "recognition-strict"}
# passes over a sequence: a supervised step goes forward and back (1 + 2); a rewarded one draws, asks the reference,
# reads attention, and goes forward and back
SUPERVISED_PASSES, REWARDED_PASSES = 3, 6


@dataclass(frozen=True, slots=True)
class Setting:
    """What all runs share.

    Args:
        sources: for each data set its record folder and image folder.
        work: for prepared data, starting models and unfinished runs.
        results: for the JSON files.
        overrides: changes to the recipes, `dotted.key=value`.
        keep_models: leave the models of finished runs.
    """

    sources: dict[str, tuple[Path, Path]]
    work: Path
    results: Path
    overrides: tuple[str, ...] = ()
    keep_models: bool = False

    def prepared(self, data: Data) -> Path:
        """Folder with the questions of a data set, written on the first call.

        Raises:
            StudyError: when its source was not named or is not there.
        """
        if data not in self.sources:
            raise StudyError(f"where is {data}? Name its folder, see `osler study abnormal-aware --help`")
        return prepare(data, *self.sources[data], self.work / data)

    def path(self, run: Run) -> Path:
        """File of a run's result."""
        return self.results / f"{run.name}.json"


def recipe_of(run: Run, setting: Setting) -> Recipe:
    """The data set's recipe, cut to the one stage that this run does.

    Args:
        run: which; "start" does the first stage, the others the second.
        setting: folders and overrides.
    """
    whole = load(RECIPES[run.data], setting.overrides)
    tune, reward = whole.stages
    weights = VARIANTS[run.variant].rewards
    data = [{"records": str(setting.work / run.data / "train.jsonl")}]
    if weights is None:
        stage, start = {**tune.model_dump(), "data": data}, base_folder(setting.work, run.data, run.seed)
    else:
        start = setting.work / "starts" / Run(run.data, run.seed, "start").name / "model"
        if weights:
            assert reward.rewards is not None
            stage = {**reward.model_dump(exclude={"objectives"}), "data": data}
            stage["rewards"] = {**reward.rewards.model_dump(), **weights}
        else:
            stage = {**tune.model_dump(), "data": data, "name": reward.name, "learning_rate": more_rate(tune, reward)}
            stage["max_steps"] = equal_steps(tune, reward)
    return parse(
        {
            "name": whole.name,
            "out": str(setting.work / "runs" / run.name),
            "seed": run.seed,
            "report_to": [],
            "model": {"start": str(start)},
            "stages": [stage],
        },
        RECIPES[run.data],
    )


def equal_steps(tune: Any, reward: Any) -> int:
    """Supervised steps that cost as many passes over sequences as the rewarded stage."""
    assert reward.rollout is not None
    sequences = reward.batch_size * reward.rollout.completions * reward.rollout.inner_epochs
    passes = reward.max_steps * sequences * REWARDED_PASSES
    return round(passes / (tune.batch_size * SUPERVISED_PASSES))


def more_rate(tune: Any, reward: Any) -> float:
    """Peak learning rate of more supervised tuning: a third of the first stage's, as it starts from a trained model."""
    return float(tune.learning_rate / 3)


def settings_hash(run: Run, setting: Setting) -> str:
    """Hash of everything that decides a run's result but the machine."""
    recipes = [recipe_of(Run(run.data, run.seed, name), setting) for name in dict.fromkeys(("start", run.variant))]
    content = [recipe.model_dump(mode="json", exclude={"out", "model", "report_to"}) for recipe in recipes]
    for recipe in content:
        for stage in recipe["stages"]:
            for item in stage["data"]:
                item["records"] = Path(item["records"]).name
    return hashlib.sha256(json.dumps([content, settings(run.data)], sort_keys=True).encode()).hexdigest()


def execute(run: Run, setting: Setting) -> Path:
    """Do one run and write its result; the base model and, for a second stage, the start must be there.

    Args:
        run: which.
        setting: folders.

    Returns:
        Path of the JSON.
    """
    from osler.study.machine import describe
    from osler.training.run import train

    began = time.monotonic()
    recipe = recipe_of(run, setting)
    trained = train(recipe, fresh=True, say=lambda _: None)
    seconds = time.monotonic() - began
    stage = recipe.stages[0].name
    tested = test(trained.model, run, setting, out=trained.folder / "eval")
    history = json.loads((trained.folder / stage / "history.json").read_text())
    content = {
        "schema": SCHEMA,
        "data": run.data,
        "seed": run.seed,
        "variant": run.variant,
        "settings_sha256": settings_hash(run, setting),
        "steps": trained.stages[stage]["steps"],
        "seconds": round(seconds, 1),
        **tested,
        "last_logged": _last_logged(history),
        "machine": describe(),
    }
    write(setting.path(run), content)
    if run.variant == "start":
        target = setting.work / "starts" / run.name / "model"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(trained.model, target)
    if not setting.keep_models:
        shutil.rmtree(trained.folder, ignore_errors=True)
    return setting.path(run)


def test(model: Path, run: Run, setting: Setting, *, out: Path) -> dict[str, Any]:
    """Ask the test questions: marks of every item, controls for a start, and attention on the region."""
    from osler.evaluation import evaluate, protocols

    controls = CONTROLS if run.variant == "start" else ()
    done = evaluate(
        model, "abnormality", data=setting.work / run.data, out=out, controls=controls, batch_size=64,
        max_new_tokens=96, progress=False,
    )  # fmt: skip
    chosen = {name: protocols.get(protocol) for name, protocol in MARKS.items()}
    items: list[dict[str, Any]] = []
    others: dict[str, dict[str, list[float]]] = {}
    for prediction in sorted(done.predictions, key=lambda entry: entry.item):
        known: dict[str, Any] = {"options": prediction.options, "regions": prediction.regions}
        scores = {
            name: protocol.score(prediction.answer or "", prediction.reference, **known)
            for name, protocol in chosen.items()
        }
        values = {name: round(score.value, 4) for name, score in scores.items()}
        assert prediction.regions is not None
        if prediction.condition == "real":
            items.append(
                {
                    "id": prediction.item,
                    "image": prediction.images[0].rpartition("/")[2],
                    "boxes": len(prediction.regions.boxes),
                    "parsed": int(scores["iou"].parsed),
                    **values,
                }
            )
        elif prediction.regions.boxes:
            for name, value in values.items():
                others.setdefault(prediction.condition, {}).setdefault(name, []).append(value)
    return {
        "items": {key: [item[key] for item in items] for key in items[0]},
        "controls": {
            condition: {name: round(sum(values) / len(values), 4) for name, values in marks.items()}
            for condition, marks in others.items()
        },
        "relevance": relevance(model, run, setting, {entry["id"] for entry in items if entry["boxes"]}),
        "decoding": done.scores["decoding"],
    }


def relevance(model: Path, run: Run, setting: Setting, wanted: set[str]) -> dict[str, float]:
    """Attention of the class words on the true region, in the reference answers: the same words for every model.

    Returns:
        Mean over items of the mass and of its share among the picture's, and the share of an even look.
    """
    from osler.models import load_model
    from osler.record_files import read_records
    from osler.training.rewards.relevance import RelevanceSettings, VisionRelevance
    from osler.training.rl.prompts import Prompts

    loaded = load_model(model, dtype="float32")
    folder = setting.work / run.data
    records = [record for record in read_records(folder / "test.jsonl") if record.id in wanted]
    prompts = Prompts(records, [folder] * len(records))
    rows = [prompts[number] for number in range(len(prompts))]
    texts = [record.answer for record in records]
    columns = {name: [row[name] for row in rows] for name in ("boxes", "size", "category", "synonyms", "images")}
    ids = [loaded.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    means = {}
    for name in ("all", "image"):
        reward = VisionRelevance(loaded.model, loaded.processor, RelevanceSettings(denominator=cast(Any, name)))
        values = reward([row["prompt"] for row in rows], texts, completion_ids=ids, **columns)
        known = [value for value in values if value is not None]
        means[f"of_{name}"] = round(sum(known) / len(known), 4)
    areas = [sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in row["boxes"]) for row in rows]
    shares = [area / (row["size"][0] * row["size"][1]) for area, row in zip(areas, rows, strict=True)]
    return {**means, "area": round(sum(shares) / len(shares), 4)}


def _last_logged(history: list[dict[str, Any]]) -> dict[str, float]:
    """The last value of the loss and of what rewards log."""
    found: dict[str, float] = {}
    for entry in history:
        found |= {
            key: entry[key]
            for key in entry
            if key in ("loss", "reward", "kl") or key.endswith(("raw/mean", "raw/std", "used/mean"))
        }
    return {key: round(float(value), 5) for key, value in found.items() if value is not None}


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a result; the file is whole or absent."""
    from osler.record_atomic import atomic_write

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as handle:
        handle.write((json.dumps(content) + "\n").encode())
