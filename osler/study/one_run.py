"""One run of the study: pre-train with an objective on a part of the data, fine-tune, evaluate, write one JSON."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.study.grid import VARIANTS, Run, StudyError
from osler.study.results import Items, write_items, write_result

if TYPE_CHECKING:
    from osler.records import Record
    from osler.training.recipe import Recipe

RECIPE = "small/study"
HEADLINE = "strict-exact-match"
TAGS = ("question_type", "combination", "wording")
POOL = 64  # candidates in held-out retrieval
PARTS = ("instruct", "train", "dev", "test", "heldout")


@dataclass(frozen=True, slots=True)
class Setting:
    """What all runs of a study share.

    Args:
        data: folder of `osler data get phantom`.
        work: folder for base models and unfinished runs.
        results: folder for the JSON files.
        overrides: changes to the recipe, `dotted.key=value`.
        keep_models: leave the model folders of finished runs.
    """

    data: Path
    work: Path
    results: Path
    overrides: tuple[str, ...] = ()
    keep_models: bool = False

    def base(self, seed: int) -> Path:
        """Folder of the model that runs of a seed start from."""
        from osler.study.small_model import base_folder

        return base_folder(self.work, seed)

    def check(self) -> None:
        """Refuse a data folder that is not whole.

        Raises:
            StudyError: names what is missing and how to make it.
        """
        for name in ("manifest.json", *(f"{part}.jsonl" for part in PARTS)):
            if not (self.data / name).is_file():
                raise StudyError(
                    f"{self.data / name}: no such file; make the data with `osler data get phantom {self.data}`"
                )

    def check_retrieval(self) -> None:
        """Refuse data with too few held-out records, which a run would need only after its training.

        Raises:
            StudyError: says how many are needed.
        """
        with (self.data / "heldout.jsonl").open("rb") as lines:
            count = sum(1 for line in lines if line.strip())
        if count < POOL:
            raise StudyError(f"{self.data / 'heldout.jsonl'}: {count} records; retrieval needs {POOL}: take size=study")


def recipe_of(run: Run, setting: Setting, *, steps: int | None = None) -> Recipe:
    """The recipe `small/study` with what makes this run.

    Args:
        run: which.
        setting: folders and overrides.
        steps: of pre-training, where they differ from the recipe's (equal compute).
    """
    from osler.training.recipe import load

    variant = VARIANTS[run.variant]
    changes = [
        f"out={setting.work / run.name}",
        f"seed={run.seed}",
        f"model.start={setting.base(run.seed)}",
        f"stages.pretrain.data.0.records={setting.data / 'instruct.jsonl'}",
        f"stages.pretrain.data.0.weight={run.fraction}",
        f"stages.pretrain.objectives={json.dumps(variant.objectives)}",
        f"stages.finetune.data.0.records={setting.data / 'train.jsonl'}",
    ]
    if variant.alignment:
        changes.append(f"stages.pretrain.alignment={json.dumps(variant.alignment)}")
    if steps is not None:
        changes.append(f"stages.pretrain.max_steps={steps}")
    return load(RECIPE, [*changes, *setting.overrides])


def settings_hash(run: Run, setting: Setting) -> str:
    """Hash of everything that decides a run's result but the machine: recipe, variant, data, starting model's rule."""
    from osler.study import small_model

    content = recipe_of(run, setting).model_dump(mode="json")
    for key in ("out", "report_to"):
        content.pop(key)
    content["model"].pop("start")
    for stage in content["stages"]:
        for key in ("rewards", "rollout"):  # younger than the committed results; absent is what they had
            if stage[key] is None:
                stage.pop(key)
        for item in stage["data"]:
            item["records"] = Path(item["records"]).name
    manifest = json.loads((setting.data / "manifest.json").read_text())
    text = json.dumps([content, small_model.settings(), manifest, run.budget], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def execute(run: Run, setting: Setting) -> Path:
    """Do one run and write its result.

    Args:
        run: which.
        setting: folders; the base model must be there (`small_model.build_base`).

    Returns:
        Path of the JSON.
    """
    from osler.evaluation import evaluate
    from osler.models import load_model
    from osler.record_files import read_records
    from osler.study.machine import describe
    from osler.training.alignment.retrieval import heldout_retrieval
    from osler.training.data import load_item
    from osler.training.run import train

    began = time.monotonic()
    tokens = token_counts(setting, run.seed)
    plain = recipe_of(run, setting)
    steps = plain.stages[0].max_steps
    if steps is None:
        raise StudyError(f"recipe {RECIPE}: the study needs stages.pretrain.max_steps")
    if run.budget == "compute":
        steps = round(steps * (tokens["main"] + tokens["text"]) / tokens["main"])
    recipe = recipe_of(run, setting, steps=steps)
    # a run lasts a minute: what a killed one left, perhaps of other settings, is not worth resuming
    trained = train(recipe, fresh=True, say=lambda _: None)
    learned = time.monotonic()
    instruct = load_item(recipe.stages[0].data[0], seed=recipe.seed)
    heldout = list(read_records(setting.data / "heldout.jsonl"))
    aligned = heldout_retrieval(load_model(trained.folder / "pretrain" / "model"), heldout, setting.data, pool=POOL)
    retrieved = time.monotonic()
    controls: Any = ("blank", "majority") if run.fraction == 1.0 else ()
    evaluation = evaluate(
        trained.model, "records", data=setting.data, out=trained.folder / "eval", controls=controls,
        batch_size=64, max_new_tokens=6, progress=False,
    )  # fmt: skip
    records = list(read_records(setting.data / "test.jsonl"))
    items, right = _marks(records, evaluation)
    write_items(setting.results, items)
    history = json.loads((trained.folder / "pretrain" / "history.json").read_text())
    conditions = evaluation.scores["conditions"]
    path = write_result(
        setting.results,
        run,
        {
            "settings_sha256": settings_hash(run, setting),
            "items_sha256": items.fingerprint,
            "accuracy": sum(right) / len(right),
            "controls": {name: conditions[name]["protocols"][HEADLINE]["mean"] for name in controls},
            "retrieval": {name: round(value, 5) for name, value in aligned.items()},
            "pretrain": {
                "steps": steps,
                "objectives": VARIANTS[run.variant].objectives,
                "alignment": recipe.stages[0].alignment_settings.model_dump(mode="json")
                if recipe.stages[0].alignment_settings
                else None,
                "tokens_a_record": tokens,
                "last_logged": _last_logged(history),
            },
            "subset": _subset([record.id for record in instruct.records], run),
            "finetune_steps": trained.stages["finetune"]["steps"],
            "seconds": {
                "training": round(learned - began, 1),
                "retrieval": round(retrieved - learned, 1),
                "evaluation": round(time.monotonic() - retrieved, 1),
            },
            "decoding": evaluation.scores["decoding"],
            "machine": describe(),
            "right": "".join(map(str, right)),
        },
    )
    if not setting.keep_models:
        shutil.rmtree(trained.folder, ignore_errors=True)
    return path


def token_counts(setting: Setting, seed: int) -> dict[str, float]:
    """Mean tokens of an instruction record: in the main pass, and in the text passes of an aligned run."""
    from osler.alignment.settings import AlignmentSettings
    from osler.models import load_model
    from osler.record_files import read_records
    from osler.training.collate import Collator, RecordDataset

    records = list(read_records(setting.data / "instruct.jsonl"))[:256]
    processor = load_model(setting.base(seed)).processor
    collate = Collator(processor, max_length=256, alignment=AlignmentSettings())
    data = RecordDataset(records, [setting.data] * len(records))
    batch = collate([data[number] for number in range(len(records))])
    text = sum(int(part["lengths"].sum()) for part in batch["alignment_texts"].values())
    main = int(batch["attention_mask"].sum())
    return {"main": round(main / len(records), 2), "text": round(text / len(records), 2)}


def _marks(records: Sequence[Record], evaluation: Any) -> tuple[Items, list[int]]:
    """1 for each question whose answer is the reference, by the headline protocol, ordered by id."""
    from osler.evaluation import protocols

    protocol = protocols.get(HEADLINE)
    answers = {p.item: p.answer for p in evaluation.predictions if p.condition == "real"}
    ordered = sorted(records, key=lambda record: record.id)
    right = [int(protocol.score(answers[r.id] or "", r.answer).value == 1.0) for r in ordered]
    items = Items(
        ids=[record.id for record in ordered],
        images=[record.images[0].path for record in ordered],
        tags=[{tag: record.tags[tag] for tag in TAGS} for record in ordered],
    )
    return items, right


def _subset(ids: list[str], run: Run) -> dict[str, Any]:
    """Which instruction records the run saw; the rule makes the same list again from the data."""
    return {
        "records": len(ids),
        "rule": f"the {len(ids)} records with the least sha256('{run.seed}:' + id)",
        "ids_sha256": hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest(),
    }


def _last_logged(history: list[dict[str, Any]]) -> dict[str, float]:
    """The last value of the loss and of everything the alignment logs."""
    found: dict[str, float] = {}
    for entry in history:
        found |= {key: entry[key] for key in entry if key == "loss" or key.startswith("align_")}
    return {key: round(float(value), 5) for key, value in found.items() if key != "align_solver_seconds"}
