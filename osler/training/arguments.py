"""From a stage's settings to the Trainer's arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from osler.training.recipe import Recipe, Stage


def training_arguments(recipe: Recipe, stage: Stage, folder: Path, records: int, *, has_dev: bool) -> Any:
    """The Trainer's arguments for a stage of objectives.

    Args:
        recipe: seed and loggers.
        stage: hyper-parameters.
        folder: of the stage; checkpoints and logs go there.
        records: training records an epoch.
        has_dev: whether a development set chooses the checkpoint.
    """
    from transformers import TrainingArguments

    times = stage.evaluations if has_dev else stage.checkpoints
    every = save_interval(stage, records, times)
    return TrainingArguments(
        **shared_arguments(recipe, stage, folder, records),
        per_device_train_batch_size=stage.batch_size,
        per_device_eval_batch_size=stage.batch_size,
        # a head outside the model's forward, and several forward passes a step, confuse the search for unused weights
        ddp_find_unused_parameters=False if stage.alignment_objective else None,
        eval_strategy="steps" if has_dev else "no",
        eval_steps=every if has_dev else None,
        save_strategy="steps" if has_dev or times else "no",
        save_steps=every,
        load_best_model_at_end=has_dev,
        metric_for_best_model="eval_loss" if has_dev else None,
        greater_is_better=False if has_dev else None,
        label_names=["labels"],
    )


def optimiser_steps(stage: Stage, records: int) -> tuple[int, int]:
    """Optimiser steps of an epoch and of the whole stage."""
    from osler.training.trainer import steps_per_epoch

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    epoch = steps_per_epoch(records, batch_size=stage.batch_size, accumulate=stage.accumulate, processes=processes)
    if stage.rollout and stage.rewards:
        epoch *= stage.rollout.inner_epochs
    return epoch, stage.max_steps or max(1, round(epoch * stage.epochs))


def save_interval(stage: Stage, records: int, times: int) -> int:
    """Optimiser steps between checkpoints, for so many an epoch; the whole stage for none."""
    epoch, total = optimiser_steps(stage, records)
    return max(1, epoch // times) if times else total


def shared_arguments(recipe: Recipe, stage: Stage, folder: Path, records: int) -> dict[str, Any]:
    """Arguments that every kind of stage has."""
    import torch

    checkpointing: dict[str, Any] = {}
    if stage.gradient_checkpointing:
        checkpointing = {"gradient_checkpointing_kwargs": {"use_reentrant": False}}
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "logs")  # one folder per stage
    return {
        "output_dir": str(folder),
        "gradient_accumulation_steps": stage.accumulate,
        "max_steps": optimiser_steps(stage, records)[1],
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": stage.schedule,
        "warmup_steps": stage.warmup if stage.warmup < 1 else int(stage.warmup),
        "weight_decay": stage.weight_decay,
        "max_grad_norm": stage.max_grad_norm,
        "bf16": stage.precision == "bf16",
        "fp16": stage.precision == "fp16",
        "gradient_checkpointing": stage.gradient_checkpointing,
        **checkpointing,
        "logging_steps": stage.log_every,
        "logging_first_step": True,
        "report_to": list(recipe.report_to),
        "run_name": f"{recipe.name}/{stage.name}",
        "save_total_limit": 2,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "remove_unused_columns": False,
        "dataloader_num_workers": stage.workers,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
    }
