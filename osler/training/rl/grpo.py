"""Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300) by TRL, with Osler's rewards."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from trl import GRPOConfig, GRPOTrainer

from osler.training.arguments import save_interval, shared_arguments
from osler.training.checkpoints import MarkComplete, SafeCheckpoints
from osler.training.recipe import Recipe, Stage
from osler.training.rewards.combined import Combined
from osler.training.rl.prompts import Prompts
from osler.training.rl.rollouts import suppressed_tokens
from osler.training.rl.samples import SampleLog
from osler.training.rl.settings import between_draws
from osler.training.sampling import RepeatedBatches


class GrpoTrainer(SafeCheckpoints, GRPOTrainer):
    """TRL's trainer with checkpoints that a killed run can trust, and a reference that is a copy of the start.

    Args:
        beta: weight of the divergence from the starting model. TRL would load that model anew by its name, which for
            weights in memory may be another, or none.
        **kwargs: as for `GRPOTrainer`.
    """

    def __init__(self, *, beta: float, **kwargs: Any) -> None:
        model = kwargs["model"]
        adapters = hasattr(model, "peft_config")  # without its adapters a PEFT model is its own start
        reference = copy.deepcopy(model).requires_grad_(False).eval() if beta and not adapters else None
        super().__init__(**kwargs)
        self.beta = beta
        if reference is not None:
            from trl.trainer.utils import add_fused_lm_head

            add_fused_lm_head(reference, temperature=self.temperature)
            self.ref_model = self.accelerator.prepare_model(reference, evaluation_mode=True)
        self.add_callback(MarkComplete())

    def _get_train_sampler(self, dataset: Any = None) -> RepeatedBatches:
        """The same batches as TRL's, in an order that depends on seed and epoch alone.

        TRL's sampler goes on from where the last epoch left it, so that a resumed run would meet the order of the
        first epoch again.
        """
        return RepeatedBatches(
            len(dataset if dataset is not None else self.train_dataset),
            batch=self.args.generation_batch_size // self.num_generations,
            repeats=self.num_iterations * self.args.steps_per_generation,
            seed=self.args.seed,
            each=self.num_generations,
        )

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: a checkpoint is not published."""


def grpo_trainer(
    recipe: Recipe, stage: Stage, loaded: Any, prompts: Prompts, rewards: Combined, folder: Path
) -> GrpoTrainer:
    """TRL's trainer for a stage.

    Advantages are rewards less their group's mean, over the group's sample standard deviation (n - 1) plus 1e-4, as TRL
    computes them.

    Args:
        recipe: seed and loggers.
        stage: hyper-parameters; `batch_size` prompts a device and pass, each with `rollout.completions` completions.
        loaded: model and processor.
        prompts: rows.
        rewards: one callable.
        folder: of the stage.
    """
    rollout = stage.rollout
    assert rollout is not None
    every = save_interval(stage, len(prompts), stage.checkpoints)
    config = GRPOConfig(
        **shared_arguments(recipe, stage, folder, len(prompts)),
        per_device_train_batch_size=stage.batch_size * rollout.completions,
        num_generations=rollout.completions,
        num_iterations=rollout.inner_epochs,
        max_completion_length=rollout.max_new_tokens,
        temperature=rollout.temperature,
        top_p=rollout.top_p,
        epsilon=rollout.clip,
        beta=0.0,  # see GrpoTrainer
        save_strategy="steps" if stage.checkpoints else "no",
        save_steps=between_draws(every, rollout),
        generation_kwargs={"suppress_tokens": suppressed_tokens(loaded.model)},
    )
    trainer = GrpoTrainer(
        beta=rollout.beta,
        model=loaded.model,
        reward_funcs=rewards,
        args=config,
        train_dataset=_data_set(prompts),
        processing_class=loaded.processor,
    )
    if rollout.sample_every:
        trainer.add_callback(SampleLog(rewards, folder / "samples", every=rollout.sample_every))
    return trainer


def _data_set(prompts: Prompts) -> Any:
    """Rows as a `datasets.Dataset`, which TRL insists on; pictures are read when a row is asked for."""
    from datasets import Dataset

    def fill(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        rows = [prompts[index] for index in batch["row"]]
        return {key: [row[key] for row in rows] for key in rows[0]}

    return Dataset.from_dict({"row": list(range(len(prompts)))}).with_transform(fill)
