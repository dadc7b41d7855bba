"""LLaVA with a projector that transformers does not have: a single linear layer, or dense channel integration.

transformers' `llava` joins vision encoder and language model by a two-layer MLP. Two published systems differ:

- `linear`: LLaVA-Med v1.0 (arXiv 2306.00890) maps each patch by one affine layer.
- `dci`: dense channel integration (Dense Connector, arXiv 2405.13800; the "+DCI" rows of LoGra-Med, arXiv 2410.02615)
  feeds the MLP with three feature maps side by side instead of one.

A folder of this kind says so (`model_type: osler_llava`) and needs `register()` before it is loaded. A model with the
standard MLP stays a plain `llava` folder, which `OslerLlavaConfig` enforces by not knowing "mlp".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaModel,
    LlavaPreTrainedModel,
    LlavaProcessor,
)
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.generic import can_return_tuple

from osler.errors import ModelError

ProjectorType = Literal["mlp", "linear", "dci"]


class OslerLlavaConfig(LlavaConfig):
    """Configuration of a LLaVA whose projector is `linear` or `dci`; every other field is `LlavaConfig`'s."""

    model_type = "osler_llava"

    projector_type: Literal["linear", "dci"] = "linear"

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.projector_type not in ("linear", "dci"):
            raise ModelError(
                f"projector_type {self.projector_type!r}: a folder of type {self.model_type!r} has a 'linear' or 'dci' "
                "projector; the standard two-layer MLP is transformers' own `llava`"
            )
        if not isinstance(self.vision_feature_layer, int):
            raise ModelError(
                f"vision_feature_layer {self.vision_feature_layer!r}: the {self.projector_type} projector takes one "
                "layer (an integer, for instance -2); a list belongs to the standard MLP projector of `llava`"
            )
        depth = self.vision_config.num_hidden_layers if self.projector_type == "dci" else 2
        if depth < 2:
            raise ModelError(f"vision_config.num_hidden_layers {depth}: the dci projector needs at least two layers")


def dense_channel_features(hidden_states: Sequence[torch.Tensor], *, layer: int = -2) -> torch.Tensor:
    """Concatenate one hidden state with the means of the lower and of the upper half of the encoder.

    Indices count as in `hidden_states` of transformers: 0 is the embedding output and i the output of the i-th block
    (from one), so an encoder of L blocks has L + 1 entries. The halves are the entries 0 … ⌊L/2⌋−1 and ⌊L/2⌋ … L−1.
    For CLIP ViT-L (L = 24) these are the "layers 0–11" and "layers 12–23" of the released code: the embedding output
    belongs to the first half, and the output of the last block (entry 24) is not used. With an odd L the upper half
    has one entry more.

    Args:
        hidden_states: L + 1 tensors of shape (images, tokens, width).
        layer: the entry that stands first in the result (−2 is the output of the last block but one).

    Returns:
        Tensor of shape (images, tokens, 3 · width): [hidden_states[layer]; mean of first half; mean of second half].

    Raises:
        ModelError: fewer than two blocks, or a state that was not recorded.
    """
    depth = len(hidden_states) - 1
    if depth < 2 or any(state is None for state in hidden_states):
        raise ModelError(f"dense channel integration needs all hidden states of at least two blocks, got {depth}")
    half = depth // 2
    lower = torch.stack(list(hidden_states[:half])).mean(dim=0)
    upper = torch.stack(list(hidden_states[half:depth])).mean(dim=0)
    return torch.cat([hidden_states[layer], lower, upper], dim=-1)


class LinearProjector(nn.Module):
    """One affine layer, vision width → text width (LLaVA-Med v1.0)."""

    def __init__(self, config: OslerLlavaConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(
            config.vision_config.hidden_size, config.text_config.hidden_size, bias=config.multimodal_projector_bias
        )

    def forward(self, image_features: torch.Tensor) -> torch.Tensor:
        """Map (images, patches, vision width) to (images, patches, text width)."""
        return self.linear(image_features)


class DenseChannelProjector(nn.Module):
    """Two-layer MLP over three concatenated feature maps: 3 · vision width → text width → text width."""

    def __init__(self, config: OslerLlavaConfig) -> None:
        super().__init__()
        text, bias = config.text_config.hidden_size, config.multimodal_projector_bias
        self.linear_1 = nn.Linear(3 * config.vision_config.hidden_size, text, bias=bias)
        self.act = ACT2FN[config.projector_hidden_act]
        self.linear_2 = nn.Linear(text, text, bias=bias)

    def forward(self, image_features: torch.Tensor) -> torch.Tensor:
        """Map (images, patches, 3 · vision width) to (images, patches, text width)."""
        return self.linear_2(self.act(self.linear_1(image_features)))


_PROJECTORS: dict[str, type[nn.Module]] = {"linear": LinearProjector, "dci": DenseChannelProjector}


class OslerLlavaModel(LlavaModel):
    """Vision encoder, `linear` or `dci` projector, language model without head."""

    config_class = OslerLlavaConfig  # not an annotation: transformers reads it raw, and here it would be a string

    def __init__(self, config: OslerLlavaConfig) -> None:
        LlavaPreTrainedModel.__init__(self, config)  # not LlavaModel's: it would build the MLP first
        self.vision_tower = AutoModel.from_config(config.vision_config)
        self.multi_modal_projector = _PROJECTORS[config.projector_type](config)
        self.language_model = AutoModel.from_config(config.text_config)
        self.post_init()

    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        vision_feature_layer: int | None = None,
        vision_feature_select_strategy: str | None = None,
        image_sizes: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Encode and project images.

        Args:
            pixel_values: (images, channels, height, width).
            vision_feature_layer: hidden state to use; the configuration's when None.
            vision_feature_select_strategy: "default" drops the first (class) token, "full" keeps it; the
                configuration's when None.
            image_sizes: only for encoders of variable resolution; not supported with `dci`.
            **kwargs: passed to the vision encoder.

        Returns:
            The encoder's output; `pooler_output` is a list with one (patches, text width) tensor for each image.

        Raises:
            ModelError: `image_sizes` with the dci projector.
        """
        if self.config.projector_type == "linear":
            return super().get_image_features(
                pixel_values=pixel_values,
                vision_feature_layer=vision_feature_layer,
                vision_feature_select_strategy=vision_feature_select_strategy,
                image_sizes=image_sizes,
                return_dict=True,
                **kwargs,
            )
        if image_sizes is not None:
            raise ModelError("the dci projector does not support encoders of variable resolution (image_sizes)")
        layer = self.config.vision_feature_layer if vision_feature_layer is None else vision_feature_layer
        strategy = vision_feature_select_strategy or self.config.vision_feature_select_strategy
        kwargs["output_hidden_states"] = True  # every layer takes part, not only the selected one
        outputs = self.vision_tower(pixel_values, return_dict=True, **kwargs)
        features = dense_channel_features(outputs.hidden_states, layer=layer)
        if strategy == "default":
            features = features[:, 1:]
        outputs.pooler_output = list(self.multi_modal_projector(features))
        return outputs


class OslerLlavaForConditionalGeneration(LlavaForConditionalGeneration):
    """`OslerLlavaModel` with the language-modelling head; same call and generation interface as transformers' LLaVA."""

    config_class = OslerLlavaConfig  # not an annotation: transformers reads it raw, and here it would be a string

    def __init__(self, config: OslerLlavaConfig) -> None:
        LlavaPreTrainedModel.__init__(self, config)
        self.model = OslerLlavaModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()


def make_llava_config(*, projector_type: ProjectorType = "mlp", **fields: Any) -> LlavaConfig:
    """Make the configuration for a projector: plain `LlavaConfig` for "mlp", `OslerLlavaConfig` for the others.

    Args:
        projector_type: "mlp", "linear" or "dci".
        **fields: fields of `LlavaConfig` (vision_config, text_config, image_token_index, ...).

    Returns:
        The configuration; `model_class(config)` names the class that it builds.

    Raises:
        ModelError: unknown projector.
    """
    if projector_type == "mlp":
        return LlavaConfig(**fields)
    if projector_type not in _PROJECTORS:
        known = ", ".join(get_args(ProjectorType))
        raise ModelError(f"projector_type {projector_type!r} is unknown; choose one of: {known}")
    return OslerLlavaConfig(projector_type=projector_type, **fields)


def model_class(config: LlavaConfig) -> type[LlavaForConditionalGeneration]:
    """Return the model class of a configuration that `make_llava_config` made."""
    return OslerLlavaForConditionalGeneration if isinstance(config, OslerLlavaConfig) else LlavaForConditionalGeneration


def register() -> None:
    """Make the Auto classes of transformers know `osler_llava`. Calling it again changes nothing."""
    AutoConfig.register(OslerLlavaConfig.model_type, OslerLlavaConfig, exist_ok=True)
    AutoModel.register(OslerLlavaConfig, OslerLlavaModel, exist_ok=True)
    AutoModelForImageTextToText.register(OslerLlavaConfig, OslerLlavaForConditionalGeneration, exist_ok=True)
    AutoProcessor.register(OslerLlavaConfig, LlavaProcessor, exist_ok=True)
