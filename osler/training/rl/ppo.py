"""The clipped objective with a value head, as UMed-LVLM describes it (arXiv 2501.01377); TRL has no such trainer.

    L = -E[min(ρA, clip(ρ, 1-ε, 1+ε)A)] + c₂ (V - return)² - c₃ entropy

The reward enters only through the advantage: a term `c₁ r` in the loss, as the paper writes it, has no gradient. Start
values of the coefficients are Dr-LLaVA's, since the paper's are not known (docs/rewards.md).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

from osler.models.language import unwrap
from osler.training.arguments import save_interval, shared_arguments
from osler.training.checkpoints import MarkComplete, SafeCheckpoints
from osler.training.recipe import Recipe, Stage
from osler.training.rewards.combined import Combined
from osler.training.rl import advantages
from osler.training.rl.prompts import Prompts
from osler.training.rl.rollouts import Completions, Judgement, draw, judge
from osler.training.rl.samples import SampleLog
from osler.training.rl.settings import RolloutSection, between_draws
from osler.training.sampling import RepeatedBatches

VALUE_HEAD = "value_head"


@dataclass
class _Batch:
    """Completions with what stays fixed while they are learned from; `mask` is 1 at the tokens that teach."""

    drawn: Completions
    old_logps: Tensor
    advantages: Tensor
    returns: Tensor
    mask: Tensor


class PpoTrainer(SafeCheckpoints, Trainer):
    """`Trainer` whose batch is drawn from the policy, scored, and learned from `inner_epochs` times.

    Args:
        rewards: one callable.
        rollout: settings.
        **kwargs: as for `Trainer`; `train_dataset` gives rows of `Prompts`.
    """

    def __init__(self, *, rewards: Combined, rollout: RolloutSection, **kwargs: Any) -> None:
        model = kwargs["model"]
        self.rewards, self.rollout = rewards, rollout
        self.adapters = hasattr(model, "peft_config")
        reference = copy.deepcopy(model).requires_grad_(False).eval() if rollout.beta and not self.adapters else None
        super().__init__(data_collator=list, **kwargs)
        # on the policy's device and in its precision: otherwise rounding looks like divergence
        self.reference = reference and self.accelerator.prepare_model(reference, evaluation_mode=True)
        self.model_accepts_loss_kwargs = False
        self._batch: _Batch | None = None
        self._logged: dict[str, list[float]] = {}
        self.add_callback(MarkComplete())

    def _get_train_sampler(self, train_dataset: Any = None) -> RepeatedBatches:
        return RepeatedBatches(
            len(self.train_dataset),
            batch=self.args.train_batch_size,
            repeats=self.rollout.inner_epochs,
            seed=self.args.seed,
        )

    def _prepare_inputs(self, inputs: Any) -> Any:
        """Rows of prompts become completions, on the first of the steps that learn from them."""
        if self.state.global_step % self.rollout.inner_epochs == 0 or self._batch is None:
            self._batch = self._draw(inputs)
        return {"batch": self._batch}

    def _draw(self, rows: list[dict[str, Any]]) -> _Batch:
        from osler.messages import with_image

        rows = [row for row in rows for _ in range(self.rollout.completions)]
        prompts = [with_image(row["prompt"], row["images"][0]) for row in rows]
        drawn = draw(self.model, self.processing_class, prompts, self.rollout)
        columns = {name: [row[name] for row in rows] for name in rows[0] if name != "prompt"}
        scores = self.rewards(
            prompts,
            [[{"role": "assistant", "content": text}] for text in drawn.texts],
            completion_ids=drawn.ids,
            trainer_state=self.state,
            log_metric=self._note,
            **columns,
        )
        # a completion about which no reward says anything teaches nothing
        known_B = torch.tensor([score is not None for score in scores], device=self.args.device)
        score_B = torch.tensor([score or 0.0 for score in scores], device=self.args.device)
        with torch.no_grad():
            was_training = self.model.training
            self.model.eval()
            old = judge(self.model, drawn, temperature=self.rollout.temperature, keep_hidden=True)
            values_BT = self._values(old)
            self.model.train(was_training)
            reference_BT = self._reference_logps(drawn) if self.rollout.beta else old.logps
        mask_BT = drawn.mask_BT * known_B[:, None]
        kl_BT = (old.logps - reference_BT) * drawn.mask_BT
        rewards_BT = advantages.token_rewards(score_B, kl_BT, mask_BT, beta=self.rollout.beta)
        advantages_BT, returns_BT = advantages.generalised_advantages(
            rewards_BT, values_BT, mask_BT, gamma=self.rollout.gamma, gae_lambda=self.rollout.gae_lambda
        )
        if known_B.any():
            self._note("reward", float(score_B[known_B].mean()))
        self._note("kl", float(kl_BT.sum() / drawn.mask_BT.sum()))
        self._note("completions/mean_length", float(drawn.mask_BT.sum(1).mean()))
        return _Batch(drawn, old.logps, advantages.whitened(advantages_BT, mask_BT), returns_BT, mask_BT)

    def _values(self, judgement: Judgement) -> Tensor:
        head: nn.Module = getattr(unwrap(self.model), VALUE_HEAD)
        assert judgement.hidden is not None
        return head(judgement.hidden.float())[..., 0]  # type: ignore[no-any-return]

    def _reference_logps(self, drawn: Completions) -> Tensor:
        with _start(self.model, self.reference) as reference:
            return judge(reference, drawn, temperature=self.rollout.temperature).logps

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """The clipped objective on the current completions."""
        batch: _Batch = inputs["batch"]
        now = judge(model, batch.drawn, temperature=self.rollout.temperature, keep_hidden=True)
        terms = advantages.clipped_loss(
            now.logps, batch.old_logps, batch.advantages, self._values(now), batch.returns, now.entropy,
            batch.mask, clip=self.rollout.clip,
        )  # fmt: skip
        for name, value in terms._asdict().items():
            self._note(f"ppo/{name}", float(value.detach()))
        loss = (
            terms.policy
            + self.rollout.value_coefficient * terms.value
            - self.rollout.entropy_coefficient * terms.entropy
        )
        return (loss, None) if return_outputs else loss

    def _note(self, name: str, value: float) -> None:
        self._logged.setdefault(name, []).append(value)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, with the means of what was noted since the last line."""
        if "loss" in logs:
            logs = {**logs, **{name: sum(values) / len(values) for name, values in self._logged.items()}}
            self._logged = {}
        super().log(logs, *args, **kwargs)


@contextmanager
def _start(model: Any, reference: Any) -> Iterator[Any]:
    """The model that the stage started from: a copy, or the model without its adapters."""
    if reference is not None:
        yield reference
        return
    was_training = model.training
    model.eval()
    with model.disable_adapter():
        yield model
    model.train(was_training)


def attach_value_head(model: Any) -> None:
    """Give a model a value head: a linear layer on the last hidden state, zero at first, for training only."""
    width = model.config.get_text_config().hidden_size
    head = nn.Linear(width, 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    model.add_module(VALUE_HEAD, head.to(model.device))


def detach_value_head(model: Any) -> None:
    """Take the value head off: a finished model is a plain one."""
    if hasattr(model, VALUE_HEAD):
        delattr(model, VALUE_HEAD)


def ppo_trainer(
    recipe: Recipe, stage: Stage, loaded: Any, prompts: Prompts, rewards: Combined, folder: Path
) -> PpoTrainer:
    """The trainer of a stage with the clipped objective.

    Args:
        recipe: seed and loggers.
        stage: hyper-parameters; `batch_size` prompts a step, each with `rollout.completions` completions.
        loaded: model with its value head, and processor.
        prompts: rows.
        rewards: one callable.
        folder: of the stage.
    """
    rollout = stage.rollout
    assert rollout is not None
    every = save_interval(stage, len(prompts), stage.checkpoints)
    arguments = TrainingArguments(
        **shared_arguments(recipe, stage, folder, len(prompts)),
        per_device_train_batch_size=stage.batch_size,
        save_strategy="steps" if stage.checkpoints else "no",
        save_steps=between_draws(every, rollout),
    )
    trainer = PpoTrainer(
        model=loaded.model,
        args=arguments,
        train_dataset=prompts,
        processing_class=loaded.processor,
        rewards=rewards,
        rollout=rollout,
    )
    if rollout.sample_every:
        trainer.add_callback(SampleLog(rewards, folder / "samples", every=rollout.sample_every))
    return trainer
