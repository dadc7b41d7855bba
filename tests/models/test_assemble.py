from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from osler.errors import ModelError
from osler.models import build, load_model
from tests import tiny

TOKENS = {"grid": 4, "clip": 16, "siglip": 16, "dinov2": 16, "vit": 16}


@pytest.mark.parametrize("kind", sorted(TOKENS))
def test_any_encoder_joins_and_reloads_bit_identically(kind: str, tmp_path: Path) -> None:
    built = tiny.model(kind)
    picture = Image.effect_noise((50, 30), 60).convert("RGB")
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is this"}]}]
    prompt = built.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    batch = built.processor(text=[prompt], images=[picture], return_tensors="pt")
    image_id = built.model.config.image_token_id
    assert int((batch["input_ids"] == image_id).sum()) == TOKENS[kind] == built.model.config.image_seq_length
    built.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert type(loaded.model) is type(built.model)
    first, second = built.model.state_dict(), loaded.model.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    with torch.no_grad():
        assert torch.equal(
            built.model(**batch).logits,
            loaded.model(**loaded.processor(text=[prompt], images=[picture], return_tensors="pt")).logits,
        )


def test_a_plain_folder_loads_in_a_process_without_osler(tmp_path: Path) -> None:
    import subprocess
    import sys

    tiny.model("clip").save(tmp_path / "m")
    code = (
        "import sys; from transformers import AutoModelForImageTextToText as A, AutoProcessor as P; "
        f"m, i = A.from_pretrained({str(tmp_path / 'm')!r}, output_loading_info=True); "
        f"P.from_pretrained({str(tmp_path / 'm')!r}); "
        "bad = i['missing_keys'] or i['unexpected_keys'] or 'osler' in sys.modules; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_encoder_is_taken_out_of_a_whole_clip(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(1)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    whole = CLIPModel(CLIPConfig(text_config=size, vision_config={**size, "image_size": 32, "patch_size": 8})).eval()
    whole.save_pretrained(tmp_path / "clip")
    built = build(tmp_path / "clip", tiny.language(), tokenizer=tiny.tokenizer())
    pixels = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(
        built.model.model.vision_tower(pixels).last_hidden_state, whole.vision_model(pixels).last_hidden_state
    )


def test_new_rows_are_the_mean_and_old_ones_untouched() -> None:
    language = tiny.language()
    before = language.get_input_embeddings().weight.detach().clone()
    built = build(tiny.vision(), language, tokenizer=tiny.tokenizer())
    after = built.model.get_input_embeddings().weight
    assert torch.equal(after[: len(before)], before)
    torch.testing.assert_close(after[len(before)], before.mean(0))
    assert built.model.lm_head.weight is after


def test_the_seed_decides_the_projector_and_nothing_else() -> None:
    one, same, other = (
        tiny.model(seed=0),
        tiny.model(seed=0),
        build(tiny.vision(), tiny.language(), tokenizer=tiny.tokenizer(), seed=1),
    )
    a, b, c = (m.model.model.multi_modal_projector.linear_1.weight for m in (one, same, other))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_nothing_is_cut_off_and_the_padding_is_the_mean_colour() -> None:
    processor = tiny.model("clip").processor
    picture = Image.new("RGB", (64, 32), (255, 255, 255))
    pixels = processor.image_processor(images=[picture], return_tensors="pt")["pixel_values"][0]
    assert pixels.shape == (3, 32, 32)
    assert pixels[:, :7].abs().max() < 0.05  # mean colour is zero after normalisation
    assert pixels[:, 9:23].min() > 1.5


def test_impossible_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="needs its tokenizer"):
        build(tiny.vision(), tiny.language())
    with pytest.raises(ModelError, match="no such model folder"):
        build(tmp_path / "nothing", tiny.language(), tokenizer=tiny.tokenizer())
    with pytest.raises(ModelError, match="not a multiple of the encoder's patch"):
        build(tiny.vision(), tiny.language(), tokenizer=tiny.tokenizer(), image_size=40)
    with pytest.raises(ModelError, match="pool=2 is for the grid encoder"):
        build(tiny.vision("clip"), tiny.language(), tokenizer=tiny.tokenizer(), pool=2)
    with pytest.raises(ModelError, match="no chat template named 'alpaca'"):
        build(tiny.vision(), tiny.language(), tokenizer=tiny.tokenizer(), chat_template="alpaca")
