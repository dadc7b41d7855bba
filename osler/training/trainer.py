"""The transformers Trainer with Osler's objectives, data order, development loss and safe checkpoints."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import Trainer, TrainerCallback

from osler.alignment.settings import AlignmentSettings
from osler.training import objectives
from osler.training.checkpoints import MarkComplete, SafeCheckpoints
from osler.training.components import component_of
from osler.training.sampling import EpochSampler


class OslerTrainer(SafeCheckpoints, Trainer):
    """`Trainer` whose loss is a weighted sum of objectives.

    Args:
        objective_weights: objective name to weight.
        alignment: settings of an alignment objective.
        sampler: "random" or "length".
        projector_learning_rate: of the projector, where it differs from the rest.
        **kwargs: as for `Trainer`; the data sets are `RecordDataset`s.
    """

    def __init__(
        self,
        *,
        objective_weights: dict[str, float],
        alignment: AlignmentSettings | None = None,
        sampler: str = "random",
        projector_learning_rate: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.projector_learning_rate = projector_learning_rate
        self.objectives = [(weight, objectives.get(name, alignment)) for name, weight in objective_weights.items()]
        self.keep_states = any(getattr(objective, "needs_states", False) for _, objective in self.objectives)
        self.sampler_kind = sampler
        # the loss is already divided by the token count of the whole optimiser step
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        self._metrics: dict[str, list[float]] = {}
        self.add_callback(MarkComplete())
        if self.args.load_best_model_at_end:
            self.add_callback(_EvaluateAtEnd())

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Weighted sum of the stage's objectives on one batch."""
        step = objectives.Step(model, inputs, num_items_in_batch, keep_states=self.keep_states)
        total: Any = 0.0
        # gradients are averaged over devices and added over accumulated passes afterwards
        shares = num_items_in_batch is not None and self.args.average_tokens_across_devices
        for weight, objective in self.objectives:
            value = objective(step)
            if value.mean:
                # the last step of an epoch may accumulate fewer passes than the others
                factor = 1 / self.current_gradient_accumulation_steps
            else:
                factor = self.accelerator.num_processes if shares else 1
            total = total + weight * factor * value.loss
            for key, metric in value.metrics.items():
                self._metrics.setdefault(key, []).append(metric)
        return (total, None) if return_outputs else total

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, with the means, over passes and processes, of what the objectives reported since the last line."""
        if self._metrics and "loss" in logs:
            names = sorted(self._metrics)
            means = [sum(self._metrics[name]) / len(self._metrics[name]) for name in names]
            if self.accelerator.num_processes > 1:  # every process logs, the first one writes: give it all of them
                values = torch.tensor(means, dtype=torch.float64, device=self.args.device)
                means = self.accelerator.reduce(values, "mean").tolist()
            logs = {**logs, **dict(zip(names, means, strict=True))}
            self._metrics = {}
        super().log(logs, *args, **kwargs)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """AdamW; a new projector may learn faster than a language model that only has to adapt."""
        optimizer = super().create_optimizer(*args, **kwargs)
        if self.projector_learning_rate is None:
            return optimizer
        names = {id(value): name for name, value in self.model.named_parameters()}
        for group in list(optimizer.param_groups):
            inside = [value for value in group["params"] if component_of(names[id(value)]) == "projector"]
            if inside:
                chosen = set(map(id, inside))
                group["params"] = [value for value in group["params"] if id(value) not in chosen]
                options = {key: value for key, value in group.items() if key not in ("params", "lr")}
                optimizer.add_param_group({"params": inside, "lr": self.projector_learning_rate, **options})
        return optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler:
        dataset = train_dataset if train_dataset is not None else self.train_dataset
        lengths = dataset.lengths() if self.sampler_kind == "length" else None
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return EpochSampler(len(dataset), seed=self.args.seed, lengths=lengths, batch=batch)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean loss per answer token over the development records (not a mean of batch means)."""
        loader = self.get_eval_dataloader(eval_dataset)
        model = self._wrap_model(self.model, training=False)
        records, size = len(loader.dataset), self.args.eval_batch_size  # type: ignore[arg-type]
        was_training = model.training
        model.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        with torch.no_grad():
            for number, batch in enumerate(loader):
                batch = self._prepare_inputs(batch)
                # the last batches of several processes are filled up with records that were there before
                first = (number * self.accelerator.num_processes + self.accelerator.process_index) * size
                batch["labels"][max(0, records - first) :] = objectives.IGNORE
                step = objectives.Step(model, batch, tokens=1)
                with self.autocast_smart_context_manager():
                    total = objectives.autoregressive(step).loss
                sums += torch.stack([total.double(), (batch["labels"] != objectives.IGNORE).sum().double()])
        model.train(was_training)
        sums = self.accelerator.reduce(sums, "sum")
        metrics = {f"{metric_key_prefix}_loss": float(sums[0] / sums[1])}
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class _EvaluateAtEnd(TrainerCallback):
    """Let the last step stand for choice too when it is no multiple of the evaluation interval."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True
        return control


def steps_per_epoch(records: int, *, batch_size: int, accumulate: int, processes: int = 1) -> int:
    """Optimiser steps of one epoch."""
    return math.ceil(math.ceil(records / (batch_size * processes)) / accumulate)
