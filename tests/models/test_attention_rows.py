import pytest
import torch

from osler.errors import ModelError
from osler.models.attention_rows import attention_rows, layer_count, middle_third
from tests import tiny

WORDS = "what colour is this image yes no red green blue"


def inputs_of(loaded, *, rows=2):
    """Two prompts of different length, with a picture each, padded on the right."""
    from PIL import Image

    from osler.models.prompt_inputs import joined_inputs

    prompts = [
        [{"role": "user", "content": [{"type": "image", "image": Image.new("RGB", (40, 30), "red")},
                                      {"type": "text", "text": WORDS[: 10 + 9 * number]}]}]
        for number in range(rows)
    ]  # fmt: skip
    return joined_inputs(loaded.processor, prompts, [[60, 61, 62]] * rows)


def eager_maps(loaded, inputs):
    """All attention maps by the eager implementation: list of layers (B, H, T, T)."""
    loaded.model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            return loaded.model(**inputs, output_attentions=True, use_cache=False).attentions
    finally:
        loaded.model.set_attn_implementation("sdpa")


@pytest.fixture(scope="module")
def loaded():
    return tiny.model("clip")


def test_rows_equal_the_eager_maps_with_grouped_heads(loaded):
    inputs, starts = inputs_of(loaded)
    wanted = [[start, start + 2] for start in starts]
    read = attention_rows(loaded.model, inputs, wanted, layers=[0, 1])
    maps = eager_maps(loaded, inputs)
    for number, rows in enumerate(wanted):
        for layer in (0, 1):
            expected = maps[layer][number].mean(0)[rows]
            torch.testing.assert_close(read.maps[number][layer], expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(read.maps[number].sum(-1), torch.ones(2, 2))
        assert (read.maps[number][..., starts[number] + 3 :] == 0).all(), "what follows is not looked at"


def test_chosen_heads(loaded):
    inputs, starts = inputs_of(loaded)
    read = attention_rows(loaded.model, inputs, [[starts[0]], []], layers=[1], heads=[2, 3])
    expected = eager_maps(loaded, inputs)[1][0][2:4].mean(0)[[starts[0]]]
    torch.testing.assert_close(read.maps[0][0], expected, atol=1e-5, rtol=1e-4)
    assert read.maps[1].shape[:2] == (1, 0)


def test_without_padding_the_causal_kernel_is_matched(loaded):
    inputs, starts = inputs_of(loaded, rows=1)
    del inputs["attention_mask"]  # then transformers builds no mask and lets the kernel be causal
    read = attention_rows(loaded.model, inputs, [[starts[0] - 4, starts[0]]], layers=[0])
    torch.testing.assert_close(read.maps[0][0], eager_maps(loaded, inputs)[0][0].mean(0)[[starts[0] - 4, starts[0]]])


def test_many_rows_are_read_in_parts(loaded, monkeypatch):
    inputs, starts = inputs_of(loaded, rows=1)
    rows = list(range(starts[0] + 3))
    whole = attention_rows(loaded.model, inputs, [rows], layers=[1]).maps[0]
    monkeypatch.setattr("osler.models.attention_rows._CHUNK", 3)
    torch.testing.assert_close(attention_rows(loaded.model, inputs, [rows], layers=[1]).maps[0], whole)


def test_the_model_is_left_as_it_was(loaded):
    inputs, starts = inputs_of(loaded)
    before = loaded.model(**inputs).logits
    loaded.model.train()
    try:
        attention_rows(loaded.model, inputs, [[starts[0]], [starts[1]]])
        assert loaded.model.training
    finally:
        loaded.model.eval()
    assert loaded.model.config.text_config._attn_implementation == "sdpa"
    assert torch.equal(loaded.model(**inputs).logits, before)


def test_adapters_are_active(loaded, tmp_path):
    from osler.training.components import add_lora
    from osler.training.recipe import LoraSection

    fresh = tiny.model("clip")
    inputs, starts = inputs_of(fresh)
    before = attention_rows(fresh.model, inputs, [[starts[0]], []], layers=[1]).maps[0]
    adapted = add_lora(fresh.model, LoraSection(r=4, alpha=64, dropout=0.0), [])
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    assert not torch.allclose(attention_rows(adapted, inputs, [[starts[0]], []], layers=[1]).maps[0], before)


def test_soft_caps_are_those_of_the_model():
    """Gemma 2 caps its scores, which the fused kernel cannot."""
    from transformers import Gemma2Config, PaliGemmaConfig, PaliGemmaForConditionalGeneration, SiglipVisionConfig

    torch.manual_seed(0)
    text = Gemma2Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, attn_logit_softcapping=0.5, sliding_window=64, pad_token_id=0,
    )  # fmt: skip
    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8,
        projection_dim=32, vision_use_head=False,
    )  # fmt: skip
    config = PaliGemmaConfig(
        text_config=text, vision_config=vision, image_token_index=63, image_token_id=63, projection_dim=32
    )
    model = PaliGemmaForConditionalGeneration(config).eval()
    ids = torch.tensor([[63] * 4 + [1, 2, 3, 4, 5]])
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(1, 3, 16, 16),
        "token_type_ids": torch.zeros_like(ids),
    }
    read = attention_rows(model, inputs, [[6, 8]], layers=[0, 1]).maps[0]
    model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = model(**inputs, output_attentions=True).attentions
    for layer in (0, 1):
        torch.testing.assert_close(read[layer], maps[layer][0].mean(0)[[6, 8]], atol=1e-5, rtol=1e-4)


def test_wrong_layers_and_heads_are_named(loaded):
    inputs, _ = inputs_of(loaded, rows=1)
    with pytest.raises(ModelError, match="layer 7 does not exist; the language model has 2"):
        attention_rows(loaded.model, inputs, [[0]], layers=[7])
    with pytest.raises(ModelError, match="head 4 does not exist"):
        attention_rows(loaded.model, inputs, [[0]], heads=[4])
    with pytest.raises(ModelError, match="at least one"):
        attention_rows(loaded.model, inputs, [[0]], layers=[])


@pytest.mark.parametrize(("count", "third"), [(1, (0,)), (2, (0, 1)), (3, (1,)), (30, tuple(range(10, 20)))])
def test_middle_third(count, third):
    class Config:
        num_hidden_layers = count

        def get_text_config(self):
            return self

    class Model:
        config = Config()

    assert layer_count(Model()) == count
    assert middle_third(Model()) == third
