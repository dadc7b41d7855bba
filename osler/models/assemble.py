"""Assemble a LLaVA from any vision encoder and any causal language model.

The result is transformers' own `LlavaForConditionalGeneration` with the two-layer projector; only another projector
makes it an `OslerLlava` (see `osler.models.llava_variants`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from osler.errors import ModelError
from osler.models import chat_templates
from osler.models.load import LoadedModel, check_folder, register_classes

ProjectorType = Literal["mlp", "linear", "dci"]
IMAGE_TOKEN = "<image>"


@dataclass(frozen=True)
class _VisionTraits:
    """How LLaVA reads an encoder: which layer, whether a class token is dropped, how many extra tokens there are."""

    layer: int
    strategy: Literal["default", "full"]
    additional_tokens: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)


def _traits(config: Any) -> _VisionTraits:
    kind = config.model_type
    if kind == "osler_grid_encoder":
        return _VisionTraits(-1, "full", 0, _IMAGENET_MEAN, _IMAGENET_STD)
    if kind.startswith("clip"):
        return _VisionTraits(-2, "default", 1, _CLIP_MEAN, _CLIP_STD)
    if kind.startswith("siglip"):
        return _VisionTraits(-2, "full", 0, _HALF, _HALF)
    if kind.startswith("dinov2"):
        registers = getattr(config, "num_register_tokens", 0)
        if registers:
            raise ModelError(
                f"{kind} has {registers} register tokens, which LLaVA would take for patches; "
                "choose an encoder without registers"
            )
        return _VisionTraits(-2, "default", 1, _IMAGENET_MEAN, _IMAGENET_STD)
    if kind == "vit":
        return _VisionTraits(-2, "default", 1, _HALF, _HALF)
    raise ModelError(
        f"no rule how LLaVA reads a vision encoder of type {kind!r}; known are clip, siglip, dinov2, vit and "
        "osler_grid_encoder. Pass vision_feature_layer and vision_feature_select_strategy with a known one instead"
    )


def _load_vision(folder: str | Path) -> Any:
    """The vision encoder of `folder`, also when the folder holds a whole CLIP or SigLIP."""
    from transformers import AutoConfig, AutoModel

    model, info = AutoModel.from_pretrained(str(folder), output_loading_info=True, trust_remote_code=False)
    _zero_pooler(model, info["missing_keys"], folder)
    config = AutoConfig.from_pretrained(str(folder))
    if not hasattr(config, "vision_config"):
        return model
    tower = AutoModel.from_config(config.vision_config, dtype=model.dtype)
    whole = model.state_dict()
    for prefix in ("", "vision_model."):
        candidate = {name.removeprefix(prefix): value for name, value in whole.items() if name.startswith(prefix)}
        wanted = {name: candidate[name] for name in tower.state_dict() if name in candidate}
        if len(wanted) == len(tower.state_dict()):
            tower.load_state_dict(wanted, strict=True)
            return tower
    raise ModelError(f"{folder}: could not find the vision encoder's weights inside {type(model).__name__}")


def _zero_pooler(tower: Any, missing: Iterable[str], where: str | Path) -> None:
    """Set the weights of an absent pooling head to zero: LLaVA never reads it, and random bits help nobody.

    Raises:
        ModelError: when anything but a pooling head is absent.
    """
    import torch

    parameters = dict(tower.named_parameters())
    for name in missing:
        if not ("pooler." in name or "head." in name) or name not in parameters:
            raise ModelError(f"{where}: the vision encoder's weight {name} is missing")
        with torch.no_grad():
            parameters[name].zero_()


def _as_auto_class(vision: Any) -> Any:
    """The encoder as the class that `AutoModel` builds from its configuration, which is what a saved LLaVA reloads."""
    from transformers import AutoModel

    tower = AutoModel.from_config(vision.config, dtype=vision.dtype)
    if tower.state_dict().keys() == vision.state_dict().keys():
        return vision
    result = tower.load_state_dict(vision.state_dict(), strict=False)
    if result.unexpected_keys:
        raise ModelError(
            f"{type(vision).__name__} has weights that {type(tower).__name__} lacks: {result.unexpected_keys[:3]}"
        )
    _zero_pooler(tower, result.missing_keys, type(vision).__name__)
    return tower.eval()


def make_image_processor(
    size: int, mean: tuple[float, ...], std: tuple[float, ...], *, keep_aspect: bool = True
) -> Any:
    """Image processor: pad to a square with the mean colour (nothing is cut off), resize, normalise; Pillow only.

    Args:
        size: side of the square that the encoder sees, in pixels.
        mean: per channel, of values in 0..1.
        std: per channel.
        keep_aspect: pad to a square first; otherwise the picture is stretched.
    """
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    return LlavaImageProcessorPil(
        do_pad=keep_aspect,
        size={"height": size, "width": size},
        do_center_crop=False,
        crop_size={"height": size, "width": size},
        image_mean=list(mean),
        image_std=list(std),
        do_convert_rgb=True,
    )


def build(
    vision: str | Path | Any,
    language: str | Path | Any,
    *,
    tokenizer: Any = None,
    projector: ProjectorType = "mlp",
    chat_template: str = "chatml",
    image_size: int | None = None,
    pool: int = 1,
    vision_feature_layer: int | None = None,
    seed: int = 0,
) -> LoadedModel:
    """Assemble a vision-language model; only the projector is new.

    Args:
        vision: folder (or model) of a vision encoder, or of a CLIP/SigLIP that contains one.
        language: folder (or model) of a causal language model.
        tokenizer: needed when `language` is a model; else read from its folder.
        projector: "mlp" (two layers, the library's), "linear" (LLaVA-Med v1.0) or "dci" (LoGra-Med).
        chat_template: a name in `osler.models.chat_templates`, or "keep" for the tokenizer's own.
        image_size: side in pixels; the encoder's own when not given.
        pool: for a grid encoder, side of the squares of its map that become one token.
        vision_feature_layer: hidden state that feeds the projector; the encoder's usual when not given.
        seed: for the projector's initial weights.

    Returns:
        Model in evaluation mode (float32) with its processor.

    Raises:
        ModelError: when a part cannot be read or does not fit.
    """
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    register_classes()
    if isinstance(vision, (str, Path)):
        check_folder(vision)
        vision = _load_vision(vision)
    if isinstance(language, (str, Path)):
        check_folder(language)
        tokenizer = tokenizer or AutoTokenizer.from_pretrained(str(language), trust_remote_code=False)
        language = AutoModelForCausalLM.from_pretrained(
            str(language), dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    if tokenizer is None:
        raise ModelError("a language model object needs its tokenizer: pass tokenizer=")
    vision = _as_auto_class(vision).to(torch.float32)
    if pool != 1:
        if vision.config.model_type != "osler_grid_encoder":
            raise ModelError(f"pool={pool} is for the grid encoder, not for {vision.config.model_type}")
        vision.config.patch_size = vision.config.patch_size // vision.config.pool * pool
        vision.config.pool = pool
    if image_size and vision.config.model_type == "osler_grid_encoder":
        vision.config.image_size = image_size  # a convolution takes any size
    traits = _traits(vision.config)
    if tokenizer.convert_tokens_to_ids(IMAGE_TOKEN) in (None, tokenizer.unk_token_id):
        tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE_TOKEN]})
    image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    if len(tokenizer) > language.get_input_embeddings().num_embeddings:
        _grow_embeddings(language, len(tokenizer))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token

    size = image_size or vision.config.image_size
    patch = vision.config.patch_size
    if size % patch:
        raise ModelError(f"image_size {size} is not a multiple of the encoder's patch of {patch} pixels")
    fields: dict[str, Any] = {
        "vision_config": vision.config,
        "text_config": language.config,
        "image_token_index": image_token_id,
        "image_seq_length": (size // patch) ** 2,
        "vision_feature_layer": traits.layer if vision_feature_layer is None else vision_feature_layer,
        "vision_feature_select_strategy": traits.strategy,
    }
    model_class: Any = LlavaForConditionalGeneration
    if projector == "mlp":
        config = LlavaConfig(**fields)
    else:
        from osler.models.llava_variants import OslerLlavaConfig, OslerLlavaForConditionalGeneration

        config = OslerLlavaConfig(**fields, projector_type=projector)
        model_class = OslerLlavaForConditionalGeneration
    with torch.device("meta"):
        model = model_class(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.model.multi_modal_projector = type(model.model.multi_modal_projector)(config)
    model.model.vision_tower = vision
    model.model.language_model = language.model
    model.lm_head = language.lm_head
    model.generation_config = language.generation_config
    model.generation_config.suppress_tokens = [image_token_id]  # a placeholder is never an answer
    model.tie_weights()
    left = [name for name, value in model.state_dict().items() if value.is_meta]
    if left:
        raise ModelError(f"parts left unassembled: {left[:3]}")

    template = tokenizer.chat_template if chat_template == "keep" else chat_templates.get(chat_template)
    processor = LlavaProcessor(
        image_processor=make_image_processor(size, traits.mean, traits.std),
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy=traits.strategy,
        num_additional_image_tokens=traits.additional_tokens,
        chat_template=template,
    )
    return LoadedModel(model.eval(), processor)


def _grow_embeddings(language: Any, count: int) -> None:
    """Add rows to the embeddings; new ones start as the mean row, so that no seed is involved."""
    import torch

    old = language.get_input_embeddings().num_embeddings
    language.resize_token_embeddings(count, mean_resizing=False)
    with torch.no_grad():
        for module in (language.get_input_embeddings(), language.get_output_embeddings()):
            if module is not None:
                module.weight[old:] = module.weight[:old].mean(0)
