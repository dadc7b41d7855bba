"""Run a recipe: stage after stage, resumable at any moment."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from osler.errors import OslerError, RecipeError
from osler.training.processes import check_processes
from osler.training.recipe import ModelSection, Recipe, Stage

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run left behind.

    Args:
        folder: of the run.
        model: the final model, a plain Hugging Face folder.
        stages: for each stage its seconds, steps, records and best development loss.
    """

    folder: Path
    model: Path
    stages: dict[str, dict[str, Any]]


def train(recipe: Recipe, *, fresh: bool = False, say: Say = print) -> TrainingResult:
    """Train all stages of a recipe. The same call again resumes, or returns at once when all is done.

    Args:
        recipe: from `osler.training.recipe.load`.
        fresh: delete an earlier run in the same folder first.
        say: receives progress lines.

    Returns:
        Where the model is and what each stage cost.

    Raises:
        RecipeError: when data, images or model do not fit, or the folder holds a run of another recipe.
        OslerError: when the disk is full; the run resumes from its last complete checkpoint.

    Example:
        >>> from osler.training import load_recipe, train
        >>> recipe = load_recipe("small/demo", ["out=runs/try"])  # doctest: +SKIP
        >>> train(recipe).model  # doctest: +SKIP
    """
    folder = recipe.folder
    if fresh and folder.exists():
        for stage in recipe.stages:
            shutil.rmtree(folder / stage.name, ignore_errors=True)
        shutil.rmtree(folder / "model", ignore_errors=True)
        (folder / "run.json").unlink(missing_ok=True)
    state = _earlier_run(recipe, folder)
    from osler.training.data import load_stage

    data = {}
    for stage in recipe.stages:  # everything is checked before anything is loaded
        if stage.name not in state["stages"]:
            data[stage.name] = load_stage(stage, seed=recipe.seed)
    _check_model(recipe.model)
    for stage in recipe.stages:
        check_processes(stage)
        if stage.rewards:
            from osler.training.rl.stage import check_stage

            check_stage(stage, data.get(stage.name))
    current: Path | None = None
    try:
        if _is_main():
            _claim(recipe, folder, state)
        for stage in recipe.stages:
            target = folder / stage.name / "model"
            if stage.name in state["stages"]:
                say(f"stage {stage.name}: already done")
            else:
                state["stages"][stage.name] = _run_stage(recipe, stage, current, data[stage.name], target, say)
                if _is_main():
                    _write_json(folder / "run.json", state)
            current = target
        assert current is not None
        final = folder / "model"
        if _is_main():
            if not (final / "config.json").is_file():
                _copy_model(current, final)
            _plot(recipe, folder)
    except OslerError as error:
        raise _from_loader_process(error) from error.__cause__
    except Exception as error:  # safetensors, torch and the operating system each have their own for a full disk
        if _disk_full(error, folder):
            raise OslerError(
                f"{folder}: no space left on the device while saving. What was complete before is kept: "
                "free space and give the same command again to resume"
            ) from error
        raise
    return TrainingResult(folder, final, state["stages"])


def _is_main() -> bool:
    """Whether this is the process that writes files, under torchrun or accelerate or alone."""
    return os.environ.get("RANK", "0") == "0"


def _earlier_run(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """State of the run in a folder, or of a new one; refuses a folder that holds a run of another recipe."""
    fingerprint = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()
    path = folder / "run.json"
    if not path.is_file():
        return {"recipe_sha256": fingerprint, "versions": _versions(), "stages": {}}
    state: dict[str, Any] = json.loads(path.read_text())
    if state["recipe_sha256"] != fingerprint:
        raise RecipeError(
            f"{folder}: holds a run of another recipe or other settings (see {folder / 'recipe.yaml'}); "
            "choose another folder with out=FOLDER, or start over with --fresh"
        )
    return state


def _claim(recipe: Recipe, folder: Path, state: dict[str, Any]) -> None:
    """Write recipe and state, once everything has been checked: a run that cannot start leaves nothing behind."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
    _write_json(folder / "run.json", state)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    import osler

    names = ("torch", "transformers", "accelerate", "peft")
    found = {name: version(name) for name in names}
    return {"osler": osler.__version__, "python": platform.python_version(), **found}


def _check_model(section: ModelSection) -> None:
    from osler.models import check_folder
    from osler.models.chat_templates import TEMPLATES

    for part in (section.start, section.vision, section.language):
        if part not in (None, "default"):
            check_folder(part)
    if section.chat_template != "keep" and section.chat_template not in TEMPLATES:
        raise RecipeError(
            f"model.chat_template: no template named {section.chat_template!r}; there are keep, {', '.join(TEMPLATES)}"
        )


def starting_model(section: ModelSection, *, seed: int) -> Any:
    """The model a recipe's first stage starts from.

    Args:
        section: of the recipe.
        seed: for the projector's initial weights.
    """
    from osler.models import build, load_model
    from osler.models.default import default_language, default_vision

    if section.start:
        return load_model(section.start, dtype="float32")
    return build(
        default_vision() if section.vision == "default" else section.vision,
        default_language() if section.language == "default" else section.language,
        projector=section.projector,
        chat_template=section.chat_template,
        image_size=section.image_size,
        pool=section.pool,
        seed=seed,
    )


def prepare(model: Any, stage: Stage, *, seed: int) -> Any:
    """Freeze and unfreeze for a stage; add its alignment head and adapters. Returns the model to train."""
    from osler.training.components import add_lora, set_trainable

    set_trainable(model, stage.train)
    if stage.alignment_objective and stage.alignment_settings:
        from osler.training.alignment.objective import attach_head

        attach_head(model, stage.alignment_objective, stage.alignment_settings, seed=seed)
    if stage.rewards and stage.rollout and stage.rollout.method == "ppo":
        from osler.training.rl.ppo import attach_value_head

        attach_value_head(model)
    return add_lora(model, stage.lora, stage.train) if stage.lora else model


def _run_stage(
    recipe: Recipe, stage: Stage, start: Path | None, data: tuple[Any, Any], target: Path, say: Say
) -> dict[str, Any]:
    from transformers import set_seed

    from osler.models import load_model
    from osler.models.load import LoadedModel
    from osler.models.vision_cache import cached_vision
    from osler.training import sharded
    from osler.training.alignment.objective import save_head
    from osler.training.checkpoints import latest_checkpoint
    from osler.training.components import count_parameters

    began = time.monotonic()
    set_seed(recipe.seed)
    loaded = load_model(start, dtype="float32") if start else starting_model(recipe.model, seed=recipe.seed)
    model = prepare(loaded.model, stage, seed=recipe.seed)
    model.config.use_cache = False
    train_set, _ = data
    counts = {count.component: count.trainable for count in count_parameters(model) if count.trainable}
    say(
        f"stage {stage.name}: {len(train_set.records)} records, training "
        + ", ".join(f"{name} ({number / 1e6:.1f} M)" for name, number in counts.items())
    )
    folder = target.parent
    trainer = _trainer(recipe, stage, LoadedModel(model, loaded.processor), data, folder)
    sharded.check_trainer(trainer)
    checkpoint = latest_checkpoint(folder)
    if checkpoint:
        say(f"stage {stage.name}: resuming from {checkpoint.name}")
    # sharded processes must all run an encoder equally often
    with cached_vision(model) if stage.cache_vision and not trainer.is_fsdp_enabled else nullcontext():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    history = trainer.state.log_history
    weights = sharded.gathered_weights(trainer) if trainer.is_fsdp_enabled else None
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        if weights is not None:  # a sharded model cannot be merged or saved: a whole one like it can
            fresh = load_model(start, dtype="float32") if start else starting_model(recipe.model, seed=recipe.seed)
            model = prepare(fresh.model, stage, seed=recipe.seed)
            sharded.fill(model, weights)
        if stage.lora:
            model = model.merge_and_unload()
        model.config.use_cache = True
        save_head(model, folder)
        if stage.rewards:
            from osler.training.rl.ppo import detach_value_head

            detach_value_head(model)
        _save_model(LoadedModel(model, loaded.processor), target)
        _write_json(folder / "history.json", history)
        for old in folder.glob("checkpoint-*"):  # the finished stage never resumes; keep the disk free
            shutil.rmtree(old)
    trainer.accelerator.wait_for_everyone()  # the next stage loads what the first process has just written
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    return {
        "seconds": round(time.monotonic() - began, 1),
        "steps": trainer.state.global_step,
        "records": len(train_set.records),
        "records_sha256": train_set.content,
        "trainable": counts,
        "dev_loss": min(losses) if losses else None,
    }


def _trainer(recipe: Recipe, stage: Stage, loaded: Any, data: tuple[Any, Any], folder: Path) -> Any:
    """The trainer of a stage: of objectives, or of rewards."""
    train_set, dev_set = data
    if stage.rewards:
        from osler.training.rl.stage import reward_trainer

        return reward_trainer(recipe, stage, loaded, train_set, folder)
    from osler.training.arguments import training_arguments
    from osler.training.collate import Collator, RecordDataset
    from osler.training.trainer import OslerTrainer

    return OslerTrainer(
        model=loaded.model,
        args=training_arguments(recipe, stage, folder, len(train_set.records), has_dev=dev_set is not None),
        train_dataset=RecordDataset(train_set.records, train_set.folders),
        eval_dataset=RecordDataset(dev_set.records, dev_set.folders) if dev_set else None,
        data_collator=Collator(loaded.processor, max_length=stage.max_length, alignment=stage.alignment_settings),
        processing_class=loaded.processor,
        objective_weights=stage.objectives,
        alignment=stage.alignment_settings,
        sampler=stage.sampler,
        projector_learning_rate=stage.projector_learning_rate,
    )


def _save_model(loaded: Any, target: Path) -> None:
    """Save beside, then rename: a model folder is whole or absent."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    loaded.save(partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


def _copy_model(source: Path, target: Path) -> None:
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    # hard links: the last stage's model and the run's model are the same files, gigabytes large
    try:
        shutil.copytree(source, partial, copy_function=os.link)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


def _plot(recipe: Recipe, folder: Path) -> None:
    from osler.training.plots import plot_loss

    histories = {
        stage.name: json.loads((folder / stage.name / "history.json").read_text())
        for stage in recipe.stages
        if (folder / stage.name / "history.json").is_file()
    }
    plot_loss(histories, folder / "loss.png")


def _write_json(path: Path, content: Any) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=1))
    partial.replace(path)


def _from_loader_process(error: OslerError) -> OslerError:
    """The error itself; one that a loader process sent, wrapped in that process's traceback, without the traceback."""
    text = str(error)
    if "Original Traceback" not in text:
        return error
    message = text.strip().rpartition(f"{type(error).__name__}: ")[2]
    return OslerError(message)


def _disk_full(error: BaseException, folder: Path) -> bool:
    """Whether an error comes from a full disk; torch and safetensors hide the errno in their messages."""
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error) or "os error 28" in str(error):
        return True
    wrote = any(word in str(error) for word in ("PytorchStreamWriter", "inline_container", "unexpected pos"))
    return wrote and shutil.disk_usage(folder).free < 64 * 2**20
