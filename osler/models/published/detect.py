"""Tell what a checkpoint folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from osler.errors import ModelError
from osler.models.published.original_config import OriginalConfig

CheckpointKind = Literal["huggingface", "llava_med_v1.5", "llava_med_v1.0_delta", "llava_med_v1.0"]

# Fine-tuning moves the gains of the last normalisation by less than 0.01; in a whole LLaMA they are of the order of 1.
_DELTA_LIMIT = 0.1


def detect_checkpoint(folder: str | Path) -> CheckpointKind:
    """Tell what a folder is, from its configuration and, where that leaves it open, from its weights.

    - "huggingface": a vision-language model in Hugging Face layout; load it as it is.
    - "llava_med_v1.5": LLaVA-Med v1.5 (Mistral) in its original layout, for `import_v15`.
    - "llava_med_v1.0_delta": differences to LLaMA-7B, for `import_v10` with a base.
    - "llava_med_v1.0": v1.0 weights to which the base has been added already, for `import_v10` without a base.

    Args:
        folder: checkpoint folder.

    Returns:
        The kind.

    Raises:
        ModelError: none of these; the message says what was seen.
    """
    folder = Path(folder)
    if (folder / "adapter_config.json").is_file():
        raise ModelError(f"{folder}: a PEFT adapter, not a model; merge it into its base model first")
    config = OriginalConfig(folder).values
    kind = config.get("model_type")
    if isinstance(config.get("vision_config"), dict) and kind not in ("clip", "clip_vision_model"):
        return "huggingface"
    if kind == "llava_mistral":
        return "llava_med_v1.5"
    if kind == "llava" and "mm_vision_tower" in config:
        return "llava_med_v1.0_delta" if _is_delta(folder) else "llava_med_v1.0"
    raise ModelError(f"{folder}: {_what(config)}")


def _is_delta(folder: Path) -> bool:
    from osler.models.published.weights import WeightFiles

    gains = WeightFiles(folder, role="checkpoint").tensor("model.norm.weight")
    return float(gains.float().abs().mean()) < _DELTA_LIMIT


def _what(config: dict[str, Any]) -> str:
    kind = config.get("model_type")
    if kind == "llava_llama":
        return "LLaVA-1.5 in its original LLaMA layout, not LLaVA-Med; use its Hugging Face version (llava-hf)"
    if kind in ("clip", "clip_vision_model"):
        return "a CLIP encoder; give it as --vision beside the checkpoint to import"
    if kind in ("llama", "mistral"):
        return f"a text-only language model ({kind}); give it as --base beside a v1.0 delta"
    known = "LLaVA-Med v1.5 (llava_mistral), LLaVA-Med v1.0 (llava with mm_vision_tower) or a Hugging Face folder"
    return f"model_type {kind!r} is not a checkpoint that can be imported; expected {known}"
