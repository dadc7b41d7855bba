from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from osler.models.grid_encoder import GridEncoder, GridEncoderConfig, convert_efficientnet_lite
from tests import tiny


def same_conv(x: torch.Tensor, w: torch.Tensor, stride: int, groups: int = 1) -> torch.Tensor:
    """TensorFlow's SAME convolution by its definition: out = ceil(in / stride), the odd pixel goes below and right."""
    k, size = w.shape[-1], x.shape[-1]
    out = -(-size // stride)
    total = max((out - 1) * stride + k - size, 0)
    padded = torch.zeros(*x.shape[:2], size + total, size + total, dtype=x.dtype)
    padded[..., total // 2 : total // 2 + size, total // 2 : total // 2 + size] = x
    return F.conv2d(padded, w, stride=stride, groups=groups)


def norm(x: torch.Tensor, state: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    shape = (1, -1, 1, 1)
    scale = state[f"{name}.weight"] / (state[f"{name}.running_var"] + 1e-3).sqrt()
    shift = state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale
    return x * scale.view(shape) + shift.view(shape)


def test_tokens_equal_a_plain_tensor_forward_pass_in_original_names() -> None:
    """Reference: the same network from plain operations, on weights under the names of the published package."""
    torch.manual_seed(0)
    stages = ((1, 3, 1, 1, 8), (2, 5, 2, 6, 12))
    config = GridEncoderConfig(stages=stages, stem_channels=8, hidden_size=20, image_size=24)
    original: dict[str, torch.Tensor] = {"_fc.weight": torch.zeros(3, 20), "_fc.bias": torch.zeros(3)}

    def conv(name: str, *shape: int) -> None:
        original[f"{name}.weight"] = torch.randn(shape, dtype=torch.float64) / 3

    def bn(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean"):
            original[f"{name}.{part}"] = torch.randn(width, dtype=torch.float64) / 2 + (part == "weight")
        original[f"{name}.running_var"] = torch.rand(width, dtype=torch.float64) + 0.5
        original[f"{name}.num_batches_tracked"] = torch.tensor(1)

    conv("_conv_stem", 8, 3, 3, 3)
    bn("_bn0", 8)
    blocks = [(8, 8, 1, 3, 1), (8, 12, 6, 5, 2), (12, 12, 6, 5, 1)]
    for i, (inputs, outputs, expansion, kernel, _) in enumerate(blocks):
        wide = inputs * expansion
        if expansion != 1:
            conv(f"_blocks.{i}._expand_conv", wide, inputs, 1, 1)
            bn(f"_blocks.{i}._bn0", wide)
        conv(f"_blocks.{i}._depthwise_conv", wide, 1, kernel, kernel)
        bn(f"_blocks.{i}._bn1", wide)
        conv(f"_blocks.{i}._project_conv", outputs, wide, 1, 1)
        bn(f"_blocks.{i}._bn2", outputs)
    conv("_conv_head", 20, 12, 1, 1)
    bn("_bn1", 20)

    encoder = GridEncoder(config).double().eval()
    encoder.load_state_dict(convert_efficientnet_lite(original), strict=True)
    x = pixels = torch.randn(2, 3, 24, 24, dtype=torch.float64)
    x = F.relu6(norm(same_conv(x, original["_conv_stem.weight"], 2), original, "_bn0"))
    for i, (inputs, outputs, expansion, _, stride) in enumerate(blocks):
        y = x
        if expansion != 1:
            y = F.relu6(
                norm(same_conv(y, original[f"_blocks.{i}._expand_conv.weight"], 1), original, f"_blocks.{i}._bn0")
            )
        deep = same_conv(y, original[f"_blocks.{i}._depthwise_conv.weight"], stride, groups=y.shape[1])
        y = F.relu6(norm(deep, original, f"_blocks.{i}._bn1"))
        y = norm(same_conv(y, original[f"_blocks.{i}._project_conv.weight"], 1), original, f"_blocks.{i}._bn2")
        x = x + y if stride == 1 and inputs == outputs else y
    x = F.relu6(norm(same_conv(x, original["_conv_head.weight"], 1), original, "_bn1"))
    wanted = torch.stack([x[:, :, row, column] for row in range(6) for column in range(6)], dim=1)
    torch.testing.assert_close(encoder(pixels).last_hidden_state, wanted, rtol=1e-10, atol=1e-10)


def test_pooling_averages_neighbouring_tokens() -> None:
    encoder = tiny.vision("grid")
    pixels = torch.randn(1, 3, 64, 64)
    fine = encoder(pixels).last_hidden_state.view(1, 4, 4, -1)
    encoder.config.pool = 2
    coarse = encoder(pixels).last_hidden_state.view(1, 2, 2, -1)
    torch.testing.assert_close(coarse[0, 1, 0], fine[0, 2:4, 0:2].mean((0, 1)))


def test_batch_norm_stays_on_stored_statistics_in_training() -> None:
    encoder = tiny.vision("grid").train()
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    encoder(torch.randn(4, 3, 32, 32))
    assert all(torch.equal(before[name], value) for name, value in encoder.named_buffers())
    assert not any(module.training for module in encoder.modules() if isinstance(module, nn.BatchNorm2d))


def test_configuration_checks_the_patch_size() -> None:
    assert GridEncoderConfig().patch_size == 32
    assert GridEncoderConfig(pool=2).patch_size == 64
    with pytest.raises(ValueError, match="patch_size cannot be 16"):
        GridEncoderConfig(patch_size=16)


def test_unknown_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown weight 'features"):
        convert_efficientnet_lite({"features.0.weight": torch.zeros(1)})
