"""Load a model folder and prove that every weight came from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osler.errors import ModelError


@dataclass(frozen=True)
class LoadedModel:
    """A model and the processor that belongs to it.

    Args:
        model: any `AutoModelForImageTextToText`.
        processor: its `AutoProcessor`, chat template included.
        path: folder or hub name it was loaded from; `None` when just built.
    """

    model: Any
    processor: Any
    path: str | None = None

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors), configuration and processor as a plain Hugging Face folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


def register_classes() -> None:
    """Register Osler's own encoder and model classes with transformers' Auto classes."""
    from osler.models import grid_encoder, llava_variants

    grid_encoder.register()
    llava_variants.register()


def check_folder(folder: str | Path) -> None:
    """Fail early, without loading weights, when `folder` cannot be a model.

    Raises:
        ModelError: names the folder, what is missing and what to do.
    """
    from osler.models.adapter import base_of, is_adapter

    path = Path(folder)
    if not path.is_dir():
        looks_like_hub = len(path.parts) == 2 and not path.is_absolute() and not str(folder).startswith(".")
        if looks_like_hub and not path.parent.exists():
            return
        raise ModelError(f"{folder}: no such model folder; give the folder that `osler train` or `osler build` wrote")
    config = path / "config.json"
    if is_adapter(path):
        check_folder(base_of(path))
        return
    if not config.is_file():
        found = sorted(item.name for item in path.iterdir())[:6]
        hint = "; it holds " + ", ".join(found) if found else "; it is empty"
        raise ModelError(f"{folder}: not a model folder: config.json is missing{hint}")
    try:
        content = json.loads(config.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{config}: not readable as JSON: {error}") from error
    if "model_type" not in content:
        raise ModelError(f"{config}: has no model_type; convert published checkpoints with `osler import`")
    if "mm_vision_tower" in content:
        raise ModelError(
            f"{folder}: is in LLaVA-Med's original layout; convert it with `osler import {folder} --out DIR`"
        )
    if content.get("auto_map"):
        raise ModelError(
            f"{config}: asks for code of its own (auto_map), which Osler never runs; convert the model to a class "
            "that transformers knows"
        )


def assert_complete(info: dict[str, Any], where: str | Path) -> None:
    """Refuse a model of which a weight was newly initialised, left unused or had another shape.

    Args:
        info: as returned by `from_pretrained(..., output_loading_info=True)`.
        where: folder, for the message.

    Raises:
        ModelError: names the first offending weights of each kind.
    """
    problems = []
    for key, meaning in (
        ("missing_keys", "absent from the file, so they would be random"),
        ("unexpected_keys", "in the file but unused by the model"),
        ("mismatched_keys", "of another shape than the configuration says"),
        ("error_msgs", "failed to load"),
    ):
        names = sorted(str(name) for name in info.get(key) or ())
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            problems.append(f"{len(names)} weights {meaning}: {', '.join(names[:3])}{more}")
    if problems:
        raise ModelError(f"{where}: the weights do not fit the model: " + "; ".join(problems))


def load_model(folder: str | Path, *, dtype: str | None = None, device: str | None = None) -> LoadedModel:
    """Load any `AutoModelForImageTextToText` folder, hub name or PEFT adapter folder, and its processor.

    Args:
        folder: model folder that transformers can load; Osler's own classes are registered first. An adapter is merged
            into the model that it names.
        dtype: "float32", "bfloat16" or "float16"; as stored when not given.
        device: torch device; the processor's memory when not given.

    Returns:
        Model in evaluation mode, with processor.

    Raises:
        ModelError: when the folder is absent or incomplete, wants remote code, or a weight is missing or unused.

    Example:
        >>> from osler import load_model
        >>> loaded = load_model("runs/demo/model")  # doctest: +SKIP
    """
    import torch
    from transformers import AutoModelForImageTextToText

    from osler.models.adapter import is_adapter, load_adapter
    from osler.models.image_only import load_processor

    check_folder(folder)
    if is_adapter(folder):
        return load_adapter(folder, dtype=dtype, device=device)
    register_classes()
    try:
        model, info = AutoModelForImageTextToText.from_pretrained(
            str(folder),
            dtype=getattr(torch, dtype) if dtype else "auto",
            output_loading_info=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
        processor = load_processor(str(folder))
    except ModelError:
        raise
    except Exception as error:  # transformers and safetensors raise many kinds for one cause: a broken folder
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{folder}: cannot be loaded as a vision-language model: {first_line}") from error
    assert_complete(info, folder)
    if getattr(processor, "chat_template", None) is None:
        raise ModelError(f"{folder}: the processor has no chat template; save one with the processor")
    if device:
        model = model.to(device)
    return LoadedModel(model.eval(), processor, str(folder))
