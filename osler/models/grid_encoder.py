"""Grid encoder: a convolutional network whose last feature map becomes visual tokens.

The map of C x H x W is read row by row into H*W tokens of width C, behind the same interface as a vision transformer
(`hidden_states[-1]`), so `LlavaForConditionalGeneration` takes it with `vision_feature_layer=-1` and the strategy
"full" (there is no class token). The architecture is EfficientNet-Lite (Tan & Le 2019, arXiv 1905.11946; the Lite
variant drops squeeze-and-excitation and uses ReLU6), described by its stages, so other widths and depths are
configurations, not code.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

# (repeats, kernel, stride, expansion, output channels) of EfficientNet-Lite0, arXiv 1905.11946 table 1 at width 1.0
LITE0_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class GridEncoderConfig(PretrainedConfig):
    """Configuration of `GridEncoder`.

    Args:
        stages: one (repeats, kernel, stride, expansion, output channels) per stage of inverted-residual blocks.
        stem_channels: width after the first convolution (stride 2).
        hidden_size: width of the tokens, that is of the head convolution.
        image_size: side of the square input, in pixels.
        patch_size: pixels per token and side: the product of all strides and `pool`; checked, not chosen.
        pool: side of the squares of the map that are averaged into one token; 2 makes a quarter of the tokens.
        batch_norm_eps: epsilon of every batch normalisation.
    """

    model_type = "osler_grid_encoder"
    base_config_key = "vision_config"

    def __init__(
        self,
        stages: Any = LITE0_STAGES,
        stem_channels: int = 32,
        hidden_size: int = 1280,
        image_size: int = 224,
        patch_size: int | None = None,
        pool: int = 1,
        batch_norm_eps: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        self.stages = [list(stage) for stage in stages]
        self.stem_channels = stem_channels
        self.hidden_size = hidden_size
        self.image_size = image_size
        self.pool = pool
        self.batch_norm_eps = batch_norm_eps
        stride = 2
        for stage in self.stages:
            stride *= stage[2]
        self.patch_size = stride * pool
        if patch_size not in (None, self.patch_size):
            raise ValueError(f"strides and pool multiply to {self.patch_size}, so patch_size cannot be {patch_size}")
        super().__init__(**kwargs)


class _SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding, which pads bottom and right more when the total is odd."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(x_BCHW.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x_BCHW, pads) if any(pads) else x_BCHW)


class _ConvNorm(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, eps: float, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = _SameConv2d(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=eps)
        self.act = act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.norm(self.conv(x_BCHW))
        return F.relu6(x_BCHW) if self.act else x_BCHW


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int, eps: float) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = _ConvNorm(inputs, width, 1, eps=eps) if expansion != 1 else nn.Identity()
        self.depthwise = _ConvNorm(width, width, kernel, stride=stride, groups=width, eps=eps)
        self.project = _ConvNorm(width, outputs, 1, eps=eps, act=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.project(self.depthwise(self.expand(x_BCHW)))
        return x_BCHW + y_BCHW if self.residual else y_BCHW


class GridEncoder(PreTrainedModel):
    """EfficientNet-Lite without its classifier; returns the feature map as tokens."""

    config_class = GridEncoderConfig
    main_input_name = "pixel_values"
    base_model_prefix = "grid_encoder"
    input_modalities = ("image",)
    _no_split_modules = ["_InvertedResidual"]  # noqa: RUF012 (transformers reads a plain list)

    def __init__(self, config: GridEncoderConfig) -> None:
        super().__init__(config)
        eps, channels = config.batch_norm_eps, config.stem_channels
        self.stem = _ConvNorm(3, channels, 3, stride=2, eps=eps)
        blocks: list[nn.Module] = []
        for repeats, kernel, stride, expansion, outputs in config.stages:
            for number in range(repeats):
                blocks.append(
                    _InvertedResidual(
                        channels,
                        outputs,
                        kernel=kernel,
                        stride=stride if number == 0 else 1,
                        expansion=expansion,
                        eps=eps,
                    )
                )
                channels = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = _ConvNorm(channels, config.hidden_size, 1, eps=eps)
        self.post_init()

    def train(self, mode: bool = True) -> GridEncoder:
        """Set training mode, but keep batch normalisation on its stored statistics.

        The batches of a vision-language trainer are small and of one kind, and running statistics are buffers that
        change even when every parameter is frozen; a frozen tower must stay bit-identical.
        """
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Encode images.

        Args:
            pixel_values: (B, 3, H, W), normalised.

        Returns:
            `last_hidden_state` (B, H/patch_size * W/patch_size, C) in row-major order, `pooler_output` (B, C) its mean,
            and `hidden_states` holding the same tokens as the only layer.
        """
        x_BCHW = self.stem(pixel_values.to(self.stem.conv.weight.dtype))
        for block in self.blocks:
            x_BCHW = block(x_BCHW)
        x_BCHW = self.head(x_BCHW)
        if self.config.pool > 1:
            x_BCHW = F.avg_pool2d(x_BCHW, self.config.pool)
        tokens_BNC = x_BCHW.flatten(2).transpose(1, 2)
        return BaseModelOutputWithPooling(
            last_hidden_state=tokens_BNC, pooler_output=tokens_BNC.mean(1), hidden_states=(tokens_BNC,)
        )


def convert_efficientnet_lite(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of the `efficientnet-lite-pytorch` packages to `GridEncoder`'s names.

    Args:
        state: their state dictionary; the classifier (`_fc`) is dropped.

    Returns:
        State dictionary that `GridEncoder.load_state_dict(strict=True)` accepts.

    Raises:
        ValueError: on a name that is not known.
    """
    parts = {
        "_conv_stem": "stem.conv",
        "_bn0": "stem.norm",
        "_conv_head": "head.conv",
        "_bn1": "head.norm",
    }
    block_parts = {
        "_expand_conv": "expand.conv",
        "_bn0": "expand.norm",
        "_depthwise_conv": "depthwise.conv",
        "_bn1": "depthwise.norm",
        "_project_conv": "project.conv",
        "_bn2": "project.norm",
    }
    converted: dict[str, Tensor] = {}
    for name, value in state.items():
        first, *rest = name.split(".")
        if first == "_fc":
            continue
        if first == "_blocks" and len(rest) == 3 and rest[1] in block_parts:
            converted[f"blocks.{rest[0]}.{block_parts[rest[1]]}.{rest[2]}"] = value
        elif first in parts and len(rest) == 1:
            converted[f"{parts[first]}.{rest[0]}"] = value
        else:
            raise ValueError(f"unknown weight {name!r}: this is not an EfficientNet-Lite of efficientnet-lite-pytorch")
    return converted


def register() -> None:
    """Make `AutoConfig` and `AutoModel` know the grid encoder. Safe to call twice."""
    from transformers import AutoConfig, AutoModel

    AutoConfig.register(GridEncoderConfig.model_type, GridEncoderConfig, exist_ok=True)
    AutoModel.register(GridEncoderConfig, GridEncoder, exist_ok=True)


__all__ = ["LITE0_STAGES", "GridEncoder", "GridEncoderConfig", "convert_efficientnet_lite", "register"]
