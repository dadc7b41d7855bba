"""A stage that learns from rewards: what it needs, its rewards and its trainer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.errors import RecipeError
from osler.training.recipe import Recipe, Stage
from osler.training.rl.prompts import Prompts, check_prompts

if TYPE_CHECKING:
    from osler.records import Record
    from osler.training.rewards.combined import Combined


def check_stage(stage: Stage, data: tuple[Any, Any] | None) -> None:
    """Refuse, before a model is loaded, what cannot be trained.

    Args:
        stage: with rewards.
        data: its training and development records; None when the stage is done already.

    Raises:
        RecipeError: unfit records, TRL absent, or several processes with the clipped objective.
    """
    from importlib.util import find_spec

    assert stage.rollout is not None
    if stage.rollout.method == "grpo" and find_spec("trl") is None:
        raise RecipeError(
            f"stage {stage.name}: GRPO needs TRL; install it with `pip install 'osler[rl]'`, or choose "
            f"stages.{stage.name}.rollout.method=ppo"
        )
    if stage.rollout.method == "ppo" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RecipeError(f"stage {stage.name}: the clipped objective runs in one process; GRPO runs in several")
    if stage.rollout.method == "ppo" and stage.accumulate > 1:
        raise RecipeError(
            f"stage {stage.name}: the clipped objective does not accumulate; say all prompts in batch_size"
        )
    if stage.alignment_objective:
        raise RecipeError(f"stage {stage.name}: a stage with rewards has no alignment objective")
    if data is not None:
        check_prompts(data[0].records, stage.name)
        # whole batches only: a group of completions must not be cut
        prompts = stage.batch_size * stage.accumulate * int(os.environ.get("WORLD_SIZE", "1"))
        if len(data[0].records) < prompts:
            raise RecipeError(
                f"stage {stage.name}: {len(data[0].records)} records are fewer than a step's {prompts} prompts"
            )


def reward_trainer(recipe: Recipe, stage: Stage, loaded: Any, data: Any, folder: Path) -> Any:
    """The trainer of a stage with rewards.

    Args:
        recipe: seed and loggers.
        stage: with `rewards` and `rollout`.
        loaded: model, prepared for the stage, and processor.
        data: training records with their folders.
        folder: of the stage.
    """
    assert stage.rollout is not None
    without_dropout(loaded.model)
    rewards = make_rewards(stage, loaded.model, loaded.processor, data.records)
    _record(rewards, folder)
    prompts = Prompts(data.records, data.folders)
    if stage.rollout.method == "ppo":
        from osler.training.rl.ppo import ppo_trainer

        return ppo_trainer(recipe, stage, loaded, prompts, rewards, folder)
    from osler.training.rl.grpo import grpo_trainer

    return grpo_trainer(recipe, stage, loaded, prompts, rewards, folder)


def without_dropout(model: Any) -> None:
    """Switch dropout off in a model that samples: what is drawn, scored and learned from must be one policy.

    With dropout the probabilities of one and the same completion differ from pass to pass, so that the ratio of the
    clipped objective is not 1 where nothing has been learned yet.

    Args:
        model: changed in memory; its configuration is not.
    """
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "dropout"):  # numbers that attention functions read
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def _record(rewards: Combined, folder: Path) -> None:
    """Write which rewards with which weights, and which judge with which prompt, beside the stage's checkpoints."""
    import json

    from osler.record_atomic import atomic_write

    if os.environ.get("RANK", "0") != "0":  # one process writes
        return
    judges = [reward.fingerprint for reward in rewards.rewards if hasattr(reward, "fingerprint")]
    content = {
        "weights": rewards.weights,
        "normalised": sorted(rewards.normalise),
        "floor": rewards.floor,
        "group": rewards.group,
        "judge": judges[0] if judges else None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "rewards.json") as handle:
        handle.write((json.dumps(content, indent=1) + "\n").encode())


def known_names(records: Sequence[Record]) -> tuple[str, ...]:
    """Names of all classes that records hold, and their synonyms."""
    import json

    from osler.word_spans import class_names

    labels = sorted({region.label for record in records for region in record.regions})
    tables = [json.loads(text) for text in sorted({record.tags.get("synonyms", "{}") for record in records})]
    return class_names(labels, [word for table in tables for words in table.values() for word in words])


def make_rewards(stage: Stage, model: Any, processor: Any, records: Sequence[Record]) -> Combined:
    """The weighted sum of a stage's rewards.

    Args:
        stage: with `rewards` and `rollout`.
        model: the policy.
        processor: of the model.
        records: of the stage; their labels are the known classes.
    """
    from osler.training.rewards.combined import Combined

    section, rollout = stage.rewards, stage.rollout
    assert section is not None
    assert rollout is not None
    rewards: list[Any] = []
    for name in section.weights:
        if name == "localisation":
            from osler.training.rewards.localisation import Localisation

            rewards.append(Localisation())
        elif name == "relevance":
            from osler.training.rewards.relevance import RelevanceSettings, VisionRelevance

            settings = RelevanceSettings(**section.relevance_settings.model_dump())
            rewards.append(VisionRelevance(model, processor, settings, classes=known_names(records)))
        elif name == "format":
            from osler.training.rewards.format import Format

            rewards.append(Format(known_names(records)))
        else:
            from osler.endpoint import ChatEndpoint
            from osler.training.rewards.judge import Judge

            judge = section.judge_endpoint
            assert judge is not None
            rewards.append(Judge(ChatEndpoint(judge.url, judge.model, allow_remote=judge.allow_remote, max_tokens=8)))
    return Combined(
        rewards, section.weights, group=rollout.completions, normalise=section.normalise, floor=section.floor
    )
