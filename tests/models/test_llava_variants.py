"""Run with: pytest tests/models/test_llava_variants.py"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from osler.errors import ModelError
from osler.models.llava_variants import (
    OslerLlavaConfig,
    OslerLlavaForConditionalGeneration,
    dense_channel_features,
    make_llava_config,
    model_class,
    register,
)

IMAGE, PATCHES = 60, 4


def config(projector: str, *, depth: int = 5, **changes) -> LlavaConfig:
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=depth,
        num_attention_heads=4,
        image_size=28,
        patch_size=14,
    )
    text = LlamaConfig(
        vocab_size=64,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    fields = {"vision_config": vision, "text_config": text, "image_token_index": IMAGE, "image_seq_length": PATCHES}
    return make_llava_config(projector_type=projector, **fields | changes)


def build(projector: str, **changes):
    torch.manual_seed(0)
    c = config(projector, **changes)
    return model_class(c)(c).eval()


def inputs(batch: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    text = torch.randint(3, IMAGE, (batch, 5), generator=generator)
    image = torch.full((batch, PATCHES), IMAGE)
    ids = torch.cat([text[:, :2], image, text[:, 2:]], dim=1)
    return {"input_ids": ids, "pixel_values": torch.randn(batch, 3, 28, 28, generator=generator)}


@pytest.fixture(autouse=True)
def _registered():
    register()
    register()  # twice on purpose: it must not complain


@pytest.mark.parametrize("projector", ["linear", "dci"])
def test_save_and_reload_is_bit_identical(tmp_path, projector):
    model = build(projector)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "osler_llava"
    assert AutoConfig.from_pretrained(tmp_path).projector_type == projector
    again, info = AutoModelForImageTextToText.from_pretrained(tmp_path, output_loading_info=True)
    assert type(again) is OslerLlavaForConditionalGeneration
    assert not any(info.values())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(model(**inputs()).logits, again.eval()(**inputs()).logits)


def test_a_missing_projector_weight_shows_in_the_loading_info(tmp_path):
    from safetensors.torch import load_file, save_file

    build("linear").save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.multi_modal_projector.linear.bias"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    _, info = AutoModelForImageTextToText.from_pretrained(tmp_path, output_loading_info=True)
    assert info["missing_keys"] == {"model.multi_modal_projector.linear.bias"}


def test_the_standard_projector_stays_plain_llava(tmp_path):
    model = build("mlp")
    assert type(model) is LlavaForConditionalGeneration
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "llava"
    with pytest.raises(ModelError, match="transformers' own `llava`"):
        OslerLlavaConfig(projector_type="mlp")
    with pytest.raises(ModelError, match="choose one of: mlp, linear, dci"):
        make_llava_config(projector_type="conv")


def test_linear_projector_is_one_affine_map():
    model, x = build("linear"), inputs(1)
    projector = model.model.multi_modal_projector
    assert [tuple(p.shape) for p in projector.parameters()] == [(48, 32), (48,)]
    with torch.no_grad():
        states = model.model.vision_tower(x["pixel_values"], output_hidden_states=True).hidden_states
        got = model.get_image_features(x["pixel_values"]).pooler_output[0]
    want = states[-2][0, 1:] @ projector.linear.weight.T + projector.linear.bias
    assert torch.allclose(got, want, atol=1e-6)


def plain_clip_states(model, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Hidden states of the CLIP encoder, from its state dict and torch functions only."""
    w = {name.removeprefix("model.vision_tower."): t for name, t in model.state_dict().items()}
    x = F.conv2d(pixels, w["embeddings.patch_embedding.weight"], stride=14).flatten(2).transpose(1, 2)
    x = (
        torch.cat([w["embeddings.class_embedding"].expand(len(x), 1, -1), x], 1)
        + w["embeddings.position_embedding.weight"]
    )

    def norm(x, name):
        return F.layer_norm(x, (32,), w[name + ".weight"], w[name + ".bias"], 1e-5)

    states = [norm(x, "pre_layrnorm")]
    for i in range(model.config.vision_config.num_hidden_layers):
        at, x = f"encoder.layers.{i}.", states[-1]
        h = norm(x, at + "layer_norm1")
        q, k, v = (
            F.linear(h, w[f"{at}self_attn.{n}_proj.weight"], w[f"{at}self_attn.{n}_proj.bias"])
            .unflatten(-1, (4, 8))
            .transpose(1, 2)
            for n in "qkv"
        )
        a = (torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1) @ v).transpose(1, 2).flatten(2)
        x = x + F.linear(a, w[at + "self_attn.out_proj.weight"], w[at + "self_attn.out_proj.bias"])
        h = F.linear(norm(x, at + "layer_norm2"), w[at + "mlp.fc1.weight"], w[at + "mlp.fc1.bias"])
        states.append(x + F.linear(h * torch.sigmoid(1.702 * h), w[at + "mlp.fc2.weight"], w[at + "mlp.fc2.bias"]))
    return states


@pytest.mark.parametrize(("depth", "lower", "upper"), [(4, [0, 1], [2, 3]), (5, [0, 1], [2, 3, 4]), (2, [0], [1])])
def test_dci_features_equal_a_plain_tensor_computation(depth, lower, upper):
    model, x = build("dci", depth=depth), inputs(2)
    with torch.no_grad():
        s = plain_clip_states(model, x["pixel_values"])
        mean = lambda indices: sum(s[i] for i in indices) / len(indices)  # noqa: E731
        stacked = torch.cat([s[depth - 1], mean(lower), mean(upper)], dim=-1)[:, 1:]
        p = model.model.multi_modal_projector
        want = F.linear(
            F.gelu(F.linear(stacked, p.linear_1.weight, p.linear_1.bias)), p.linear_2.weight, p.linear_2.bias
        )
        got = torch.stack(model.get_image_features(x["pixel_values"]).pooler_output)
        outputs = model(**x)
    assert p.linear_1.weight.shape == (48, 96)
    assert torch.allclose(got, want, atol=1e-5)
    assert torch.allclose(outputs.image_hidden_states, want.flatten(0, 1), atol=1e-5)


def test_dci_groups_of_the_24_layer_clip():
    """ViT-L: 25 states, of which 0–11 and 12–23 are averaged and 24 is unused (LoGra-Med's "layers")."""
    states = [torch.full((1, 2, 3), float(i)) for i in range(25)]
    first, lower, upper = dense_channel_features(states)[0, 0].split(3)
    assert first.tolist() == [23.0] * 3
    assert lower.tolist() == [5.5] * 3
    assert upper.tolist() == [17.5] * 3
    with pytest.raises(ModelError, match="at least two blocks"):
        dense_channel_features(states[:2])


def test_dci_refuses_what_it_cannot_do():
    with pytest.raises(ModelError, match="takes one layer"):
        config("dci", vision_feature_layer=[-2, -5])
    with pytest.raises(ModelError, match="at least two layers"):
        config("dci", depth=1)
    with pytest.raises(ModelError, match="variable resolution"):
        build("dci").get_image_features(inputs(1)["pixel_values"], image_sizes=torch.tensor([[28, 28]]))


@pytest.mark.parametrize("projector", ["linear", "dci"])
def test_gradient_reaches_projector_encoder_and_language_model(projector):
    model, x = build(projector), inputs()
    model.train()
    labels = x["input_ids"].masked_fill(x["input_ids"] == IMAGE, -100)
    model(**x, labels=labels).loss.backward()
    for name in ("multi_modal_projector", "vision_tower.embeddings", "language_model.layers.0"):
        part = [p for n, p in model.named_parameters() if name in n]
        assert part
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part), name


@pytest.mark.parametrize("projector", ["linear", "dci"])
def test_generation_with_and_without_cache_agrees(projector):
    model, x = build(projector), inputs()
    cached = model.generate(**x, max_new_tokens=6, do_sample=False)
    slow = x["input_ids"]
    with torch.no_grad():
        for _ in range(cached.shape[1] - slow.shape[1]):
            nxt = model(input_ids=slow, pixel_values=x["pixel_values"]).logits[:, -1].argmax(-1)
            slow = torch.cat([slow, nxt[:, None]], dim=1)
    for fast_row, slow_row in zip(cached.tolist(), slow.tolist(), strict=True):
        end = fast_row.index(2) if 2 in fast_row else len(fast_row)  # padding follows the end token
        assert fast_row[:end] == slow_row[:end]


def test_tuple_output_and_gradient_checkpointing():
    model, x = build("dci"), inputs(1)
    assert isinstance(model.get_image_features(x["pixel_values"], return_dict=False), tuple)
    model.train()
    labels = x["input_ids"].masked_fill(x["input_ids"] == IMAGE, -100)
    loss = model(**x, labels=labels).loss
    model.gradient_checkpointing_enable()
    assert torch.allclose(model(**x, labels=labels).loss, loss, atol=1e-6)


def test_importing_osler_registers_nothing():
    code = "import osler, osler.models, sys; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
