"""Weights that lie in parts on several processes (FSDP2): gathered to be saved, spread out to be resumed.

Checkpoints and models are written as by one process, so that any number of processes goes on from them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from osler.errors import ModelError, RecipeError

OPTIMISER = "optimizer.bin"  # by names of weights, not by their numbers as in one process's optimizer.pt


def wanted() -> bool:
    """Whether `accelerate launch` was asked to shard."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("1", "true", "yes")


def check(stage_name: str, *, rewards: bool) -> None:
    """Refuse, before a model is loaded, what sharded processes cannot train.

    Args:
        stage_name: for messages.
        rewards: the stage learns from rewards.

    Raises:
        RecipeError: for the old way of sharding, for loading by the first process alone, or for a stage with rewards.
    """
    if not wanted():
        return
    if os.environ.get("FSDP_VERSION", "1") != "2":
        raise RecipeError(
            f"stage {stage_name}: sharding needs FSDP2; say `fsdp_version: 2` in the file of `accelerate launch`"
        )
    if os.environ.get("FSDP_CPU_RAM_EFFICIENT_LOADING", "false").lower() in ("1", "true", "yes"):
        # accelerate spreads weights from the first process only where all that is stored is a weight
        raise RecipeError(
            f"stage {stage_name}: say `fsdp_cpu_ram_efficient_loading: false` in the file of `accelerate launch`: "
            "models with stored statistics, as of a grid encoder, cannot be spread from one process"
        )
    if rewards:
        raise RecipeError(
            f"stage {stage_name}: a stage with rewards samples and reads attention from whole weights; launch it "
            "without FSDP"
        )


def check_trainer(trainer: Any) -> None:
    """Refuse a trainer that was asked to shard and does not.

    Raises:
        RecipeError: on the CPU, where accelerate passes over the request.
    """
    if wanted() and not trainer.is_fsdp_enabled and trainer.accelerator.num_processes > 1:
        raise RecipeError("sharding (FSDP) was asked for, but accelerate shards on GPUs only; launch without FSDP")


def gathered_weights(trainer: Any) -> dict[str, Any]:
    """All weights whole and on the CPU, on the first process; empty on the others. Every process must call it."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(trainer.model, options=options)
    return weights


def fill(model: Any, weights: dict[str, Any]) -> None:
    """Give a whole model of one process the gathered weights of a sharded one.

    Args:
        model: prepared in the same way.
        weights: from `gathered_weights`.

    Raises:
        ModelError: when a weight is missing, unknown or of another shape.
    """
    try:
        result = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ModelError(f"the gathered weights do not fit the model: {error}") from error
    missing = sorted(set(result.missing_keys) - _tied(model))
    if missing or result.unexpected_keys:
        raise ModelError(
            f"the gathered weights do not fit the model: {len(missing)} missing {missing[:3]}, "
            f"{len(result.unexpected_keys)} unknown {result.unexpected_keys[:3]}"
        )


def load_weights(model: Any, folder: str | Path) -> None:
    """Spread the weights of a checkpoint over the processes.

    Args:
        model: sharded; with adapters, these and the components trained beside them are read.
        folder: checkpoint, as one process writes it.

    Raises:
        ModelError: when the checkpoint does not fit the model.
    """
    import torch.distributed as dist
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict

    adapters = hasattr(model, "peft_config")
    files = _files(Path(folder), "adapter_model" if adapters else "model")
    stored = {name: file for file in files for name in _names(file)}
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True, strict=False)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    names = {
        _stored_name(name) if adapters else name: name
        for name in get_model_state_dict(model)
        if not adapters or name in trained
    }
    missing = sorted(name for name in names if name not in stored and names[name] not in _tied(model))
    unknown = sorted(set(stored) - set(names))
    if missing or unknown:
        raise ModelError(
            f"{folder}: the checkpoint does not fit the model: {len(missing)} weights missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}"
        )
    # one copy of the weights on a machine is enough: the first process hands them out
    whole = {names[name]: value for name, value in _read(files).items()} if dist.get_rank() == 0 else {}
    set_model_state_dict(model, whole, options=options)


def save_optimiser(trainer: Any, folder: str | Path) -> None:
    """Write the optimiser's state whole, under the names of the weights. Every process must call it."""
    import torch
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_optimizer_state_dict(trainer.model, trainer.optimizer, options=options)
    if trainer.args.should_save:
        torch.save(state, Path(folder) / OPTIMISER)


def load_optimiser(trainer: Any, folder: str | Path) -> None:
    """Read what `save_optimiser` wrote, by any number of processes, sharded or not.

    Raises:
        ModelError: when the checkpoint is one of processes that did not shard, and these do.
    """
    import torch
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

    path = Path(folder) / OPTIMISER
    if not path.is_file():
        raise ModelError(
            f"{folder}: was written without sharding (FSDP); resume it without, or start over with --fresh"
        )
    several = trainer.is_fsdp_enabled
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=several)
    first = not several or trainer.accelerator.is_main_process
    state = torch.load(path, map_location="cpu", weights_only=True) if first else {}
    set_optimizer_state_dict(trainer.model, trainer.optimizer, state, options=options)


def _files(folder: Path, stem: str) -> list[Path]:
    files = sorted(folder.glob(f"{stem}*.safetensors"))
    if not files:
        raise ModelError(f"{folder}: holds no {stem}.safetensors")
    return files


def _names(file: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return list(opened.keys())


def _read(files: list[Path]) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {name: value for file in files for name, value in load_file(file).items()}


def _stored_name(name: str) -> str:
    """Name under which PEFT stores a weight, without the name of the adapter."""
    return name.replace(".modules_to_save.default", "").replace(".default.", ".")


def _tied(model: Any) -> set[str]:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    names = set(getattr(base, "all_tied_weights_keys", None) or ())
    return names | {f"base_model.model.{name}" for name in names}
