"""What a recipe would do: stages, trainable parameters, steps and an estimate of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean

from osler.training.memory import MemoryEstimate
from osler.training.recipe import Recipe


@dataclass(frozen=True)
class StagePlan:
    """One stage of a dry run.

    Args:
        name: of the stage.
        records: training records an epoch.
        dev_records: development records.
        steps: optimiser steps.
        tokens: mean length of a record in tokens, image tokens included.
        trainable: component to number of trainable parameters.
        total: number of all parameters.
        memory: estimated peak on one device.
    """

    name: str
    records: int
    dev_records: int
    steps: int
    tokens: int
    trainable: dict[str, int]
    total: int
    memory: MemoryEstimate


def plan(recipe: Recipe) -> list[StagePlan]:
    """Check data and model of a recipe and say what each stage would do; nothing is trained or written.

    Raises:
        RecipeError: when data or model do not fit.
    """
    from osler.training import memory
    from osler.training.arguments import optimiser_steps
    from osler.training.collate import Collator, RecordDataset
    from osler.training.components import count_parameters
    from osler.training.data import load_stage
    from osler.training.run import prepare, starting_model

    data = [load_stage(stage, seed=recipe.seed) for stage in recipe.stages]
    for stage, entry in zip(recipe.stages, data, strict=True):
        if stage.rewards:
            from osler.training.rl.stage import check_stage

            check_stage(stage, entry)
    plans = []
    for stage, (records, dev) in zip(recipe.stages, data, strict=True):
        # adapters change the model, so each stage looks at a fresh one
        loaded = starting_model(recipe.model, seed=recipe.seed)
        model = prepare(loaded.model, stage, seed=recipe.seed)
        sample = RecordDataset(records.records[:16], records.folders[:16])
        collate = Collator(loaded.processor, max_length=stage.max_length)
        tokens = round(mean(int(collate([sample[i]])["attention_mask"].sum()) for i in range(len(sample))))
        counts = count_parameters(model)
        plans.append(
            StagePlan(
                name=stage.name,
                records=len(records.records),
                dev_records=len(dev.records) if dev else 0,
                steps=optimiser_steps(stage, len(records.records))[1],
                tokens=tokens,
                trainable={count.component: count.trainable for count in counts if count.trainable},
                total=sum(count.total for count in counts),
                memory=memory.estimate(model, stage, tokens=tokens),
            )
        )
    return plans


def show_plan(recipe: Recipe, say: Callable[[str], None] = print) -> None:
    """Print a plan for people."""
    say(f"{recipe.name}: {recipe.description}\nrun folder: {recipe.folder}")
    for stage in plan(recipe):
        trained = ", ".join(f"{name} {count:,}" for name, count in stage.trainable.items())
        part = stage.memory
        dev = f", {stage.dev_records} for choosing the checkpoint" if stage.dev_records else ""
        say(
            f"\nstage {stage.name}: {stage.records} records{dev}, {stage.steps} optimiser steps\n"
            f"  trainable: {trained} of {stage.total:,} parameters\n"
            f"  a record has about {stage.tokens} tokens (image tokens included)\n"
            f"  memory, estimated: {part.total / 2**30:.1f} GiB = weights {part.weights / 2**30:.1f}"
            f" + gradients {part.gradients / 2**30:.1f} + optimiser {part.optimiser / 2**30:.1f}"
            f" + activations {part.activations / 2**30:.1f}"
        )
