"""What one process, or several, can train; asked before a model is loaded."""

from __future__ import annotations

import os

from osler.errors import RecipeError
from osler.training import sharded
from osler.training.recipe import Stage


def check_processes(stage: Stage) -> None:
    """Refuse what one process with many GPUs, or many processes, cannot train.

    Raises:
        RecipeError: says what to type instead.
    """
    import torch

    sharded.check(stage.name, rewards=stage.rewards is not None)
    if "WORLD_SIZE" not in os.environ:
        count = torch.cuda.device_count()
        if count > 1:
            raise RecipeError(
                f"{count} GPUs but one process: start with `accelerate launch --num_processes {count} -m osler train "
                "...`, or choose one GPU with CUDA_VISIBLE_DEVICES=0"
            )
    elif int(os.environ["WORLD_SIZE"]) > 1 and stage.alignment_objective:
        # data-parallel training with several passes a step wants a gradient for every trainable weight in each step
        if "autoregressive" not in stage.objectives:
            raise RecipeError(
                f"stage {stage.name}: alignment on several processes needs the autoregressive objective too"
            )
        if "vision" in stage.train:
            raise RecipeError(
                f"stage {stage.name}: alignment on several processes cannot train the vision encoder, whose last "
                "layers LLaVA does not read"
            )
