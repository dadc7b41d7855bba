"""Checkpoints that a killed run can trust: whole or absent, under the names in memory, refused when they do not fit."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer import SCHEDULER_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from osler.errors import ModelError
from osler.training import sharded

COMPLETE = "osler_complete.json"


class SafeCheckpoints:
    """Mixin for `Trainer` and its descendants; stands before them among the bases."""

    accelerator: Any
    args: Any
    model: Any
    state: Any
    is_fsdp_enabled: bool
    lr_scheduler: Any

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Save weights under the names the model has in memory, and nothing pickled.

        By default transformers 5 writes vision-language weights under their older, public names, which `Trainer`
        does not translate back when it resumes or loads the best checkpoint: it warns and goes on with the weights
        it has. Finished models are written under the public names; checkpoints are not.
        """
        if self.is_fsdp_enabled and not self.args.should_save:
            return  # the first process alone has the gathered weights
        model: Any = self.accelerator.unwrap_model(self.model)
        options = {} if hasattr(model, "peft_config") else {"save_original_format": False}
        model.save_pretrained(output_dir, state_dict=state_dict, is_main_process=self.args.should_save, **options)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save weights, whole also where they lie in parts on several processes."""
        if self.is_fsdp_enabled:
            self._save(output_dir or self.args.output_dir, state_dict=sharded.gathered_weights(self))
        else:
            super().save_model(output_dir, _internal_call)  # type: ignore[misc]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled:
            sharded.load_weights(self.model, resume_from_checkpoint)
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]

    def _load_best_model(self) -> None:
        if self.is_fsdp_enabled:
            sharded.load_weights(self.model, self.state.best_model_checkpoint)
        else:
            super()._load_best_model()  # type: ignore[misc]

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
            return
        import torch

        sharded.save_optimiser(self, output_dir)
        if self.args.should_save:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or not (self.is_fsdp_enabled or (Path(checkpoint) / sharded.OPTIMISER).is_file()):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
            return
        import torch

        sharded.load_optimiser(self, checkpoint)
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True))

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        tied = set(getattr(self.accelerator.unwrap_model(self.model), "all_tied_weights_keys", None) or ())
        missing = [name for name in load_result.missing_keys if name not in tied]
        if missing or load_result.unexpected_keys:
            raise ModelError(
                f"{self.args.output_dir}: the checkpoint does not fit the model: {len(missing)} weights missing "
                f"{missing[:3]}, {len(load_result.unexpected_keys)} unknown {load_result.unexpected_keys[:3]}"
            )

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # a folder of the same step without its mark is what a killed run left behind
        folder = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        if folder.exists() and not (folder / COMPLETE).exists() and self.args.should_save:
            shutil.rmtree(folder)
        super()._save_checkpoint(model, trial)  # type: ignore[misc]


class MarkComplete(TrainerCallback):
    """Write a mark into a checkpoint after everything else is on disk: only marked ones are resumed from."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Sync the files of the new checkpoint, then mark it."""
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        for file in (item for item in folder.rglob("*") if item.is_file()):
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        mark = folder / COMPLETE
        partial = mark.with_suffix(".partial")
        partial.write_text(json.dumps({"step": state.global_step, "epoch": state.epoch}))
        partial.replace(mark)


def latest_checkpoint(folder: str | Path) -> Path | None:
    """Newest complete checkpoint in `folder`; incomplete ones are deleted.

    Args:
        folder: a stage's folder.
    """
    best: tuple[int, Path] | None = None
    for path in Path(folder).glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        number = path.name.rpartition("-")[2]
        if not number.isdigit():
            continue
        if not (path / COMPLETE).is_file():
            shutil.rmtree(path, ignore_errors=True)  # several processes may do it at once
            continue
        if best is None or int(number) > best[0]:
            best = (int(number), path)
    return best[1] if best else None
