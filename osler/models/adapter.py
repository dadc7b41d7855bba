"""Load a PEFT adapter: its base model with the adapter merged into the weights.

Merged, because what is evaluated should be what is served, and servers are known to leave adapters of vision-language
models out without a word. For the same reason an adapter that changes nothing is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.errors import ModelError

if TYPE_CHECKING:
    from osler.models.load import LoadedModel

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def is_adapter(folder: str | Path) -> bool:
    """Whether a folder holds an adapter and no model of its own."""
    return (Path(folder) / CONFIG).is_file() and not (Path(folder) / "config.json").is_file()


def base_of(folder: str | Path) -> str:
    """The model that an adapter was trained on: a folder, seen from here or from the adapter's folder, or a hub name.

    Raises:
        ModelError: for a broken configuration, one that names no model, or weights that are absent or pickled.
    """
    folder = Path(folder)
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        base = content["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / CONFIG}: is no adapter configuration: {error!r}") from error
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"{folder / CONFIG}: base_model_name_or_path names no model; write the base model's folder there"
        )
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder}: {WEIGHTS} is missing; an adapter in another format (pickle) is not read")
    beside = folder / base
    return str(beside) if not Path(base).exists() and beside.is_dir() else base


def load_adapter(folder: str | Path, *, dtype: str | None = None, device: str | None = None) -> LoadedModel:
    """Load the base model and merge the adapter into it.

    Args:
        folder: holds `adapter_config.json` and `adapter_model.safetensors`; its processor, if it has one, is used.
        dtype: of the base model, in which the adapter is merged.
        device: torch device.

    Raises:
        ModelError: when the base cannot be loaded, weights of the adapter fit nowhere or are absent, or they change
            nothing.
    """
    from osler.models.image_only import load_processor
    from osler.models.load import LoadedModel, load_model

    folder = Path(folder)
    loaded = load_model(base_of(folder), dtype=dtype)
    try:
        from peft import PeftConfig, PeftModel
        from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict

        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True
        wrapped = PeftModel(loaded.model, config)
        weights = load_peft_weights(str(folder), device="cpu")
        result = set_peft_model_state_dict(wrapped, weights)
    except Exception as error:  # peft raises many kinds for one cause: the adapter does not fit
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{folder}: the adapter does not fit {loaded.path}: {first_line}") from error
    _assert_complete(folder, wrapped, result)
    merged: Any = wrapped.merge_and_unload(safe_merge=True)
    processor = load_processor(str(folder)) if (folder / "processor_config.json").is_file() else loaded.processor
    return LoadedModel((merged.to(device) if device else merged).eval(), processor, str(folder))


def _assert_complete(folder: Path, wrapped: Any, result: Any) -> None:
    marks = ("lora_", "modules_to_save")
    unused = sorted(result.unexpected_keys)
    absent = sorted(name for name in result.missing_keys if any(mark in name for mark in marks))
    if unused or absent:
        kind, names = ("fit nowhere in the model", unused) if unused else ("are absent from the file", absent)
        raise ModelError(f"{folder}: {len(names)} weights of the adapter {kind}: {', '.join(names[:3])}")
    second = [value for name, value in wrapped.named_parameters() if "lora_B" in name]
    saved = any("modules_to_save" in name for name, _ in wrapped.named_parameters())
    if second and not saved and not any(bool(value.any()) for value in second):
        raise ModelError(f"{folder}: the adapter changes nothing: all its second matrices (lora_B) are zero")
