"""Run with: pytest tests/models/published/test_import_v10.py"""

from __future__ import annotations

import json
import shutil

import numpy as np
import original_layouts as layouts
import pytest
import torch
from PIL import Image
from plain_llava import llava_logits
from tiny_tokenizer import reference_encode
from transformers import AutoModelForImageTextToText, AutoProcessor

from osler.errors import ModelError
from osler.models.llava_variants import OslerLlavaForConditionalGeneration, register
from osler.models.published import import_v10
from osler.models.published.weights import WeightFiles

N = len(layouts.PIECES)
PAD, PATCH, START, END = N, N + 1, N + 2, N + 3
GEOMETRY = {"vision_prefix": "clip.", "vision_heads": 2, "heads": 4, "kv_heads": 4, "theta": 1e4, "eps": 1e-6}
QUESTION = "What is shown in the left lung?"
SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
BEFORE = SYSTEM + "###Human: Hi!###Assistant: Hi there!  How can I help you today?\n###Human: "


def prompt_ids(question: str) -> list[int | str]:
    """The released evaluation's prompt; the image stands behind the question, the line break before it is swallowed."""
    encode = lambda text: reference_encode(layouts.PIECES, text)  # noqa: E731
    return [1, *encode(BEFORE + question), START, "image", END, *encode("###Assistant:")]


def cropped_pixels(picture: Image.Image) -> torch.Tensor:
    """Resize the short side, cut the centre, normalise; by Pillow and NumPy."""
    side = layouts.SIDE
    short = min(picture.size)
    size = tuple(int(side * n / short) for n in picture.size)
    pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC)) / 255.0
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    pixels = pixels[top : top + side, left : left + side]
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    return torch.tensor((pixels - mean) / std).permute(2, 0, 1)[None]


def message(question: str) -> list[dict]:
    return [{"role": "user", "content": [{"type": "text", "text": question}, {"type": "image"}]}]


def encode(processor, questions: list[str], pictures: list[Image.Image]):
    text = [processor.apply_chat_template(message(q), add_generation_prompt=True) for q in questions]
    return processor(text=text, images=pictures, return_tensors="pt", padding=True, add_special_tokens=False)


@pytest.fixture(scope="module")
def imported(tmp_path_factory, v10_source):
    delta, base, clip = v10_source
    register()
    report = import_v10(delta, base, clip, tmp_path_factory.mktemp("imported") / "model", max_shard_bytes=300_000)
    model, info = AutoModelForImageTextToText.from_pretrained(report.out, output_loading_info=True)
    assert not any(info.values())
    return report, model.eval(), AutoProcessor.from_pretrained(report.out)


def test_logits_equal_the_plain_tensor_model_in_a_padded_batch(imported, v10_parts, picture):
    _, model, processor = imported
    questions = [QUESTION, "Is there a lesion?"]
    pictures = [picture, picture.rotate(90, expand=True)]
    batch = encode(processor, questions, pictures)
    assert (batch["attention_mask"] == 0).any()
    with torch.no_grad():
        logits = model(**batch).logits
    for row, (question, image) in enumerate(zip(questions, pictures, strict=True)):
        ids, mask = prompt_ids(question), batch["attention_mask"][row].bool()
        patches = layouts.GRID**2
        want_ids = [n for item in ids for n in ([PATCH] * patches if item == "image" else [item])]
        assert batch["input_ids"][row][mask].tolist() == want_ids
        want = llava_logits(v10_parts.whole, ids, cropped_pixels(image), **GEOMETRY)
        got = logits[row][mask].double()
        assert got.shape == want.shape  # the vocabulary has not grown
        assert want.std() > 0.3
        assert torch.allclose(got, want, atol=1e-4, rtol=0)


def test_without_the_base_the_logits_would_be_wrong(v10_parts, imported, picture):
    """The comparison above can fail: the base alone and the delta alone are other models."""
    _, model, processor = imported
    with torch.no_grad():
        got = model(**encode(processor, [QUESTION], [picture])).logits[0].double()
    wrong = v10_parts.whole | {n: t for n, t in v10_parts.base.items() if t.shape == v10_parts.text[n].shape}
    want = llava_logits(wrong, prompt_ids(QUESTION), cropped_pixels(picture), **GEOMETRY)
    assert not torch.allclose(got, want, atol=1e-2)


def test_embedding_and_head_add_over_the_rows_of_the_base_only(imported, v10_parts):
    report, model, _ = imported
    for name, parameter in (
        ("model.embed_tokens.weight", model.get_input_embeddings().weight),
        ("lm_head.weight", model.lm_head.weight),
    ):
        delta, base = v10_parts.delta[name], v10_parts.base[name]
        assert torch.equal(parameter[:N].detach(), delta[:N] + base)
        assert torch.equal(parameter[N:].detach(), delta[N:])
    projector = model.model.multi_modal_projector.linear
    assert torch.equal(projector.weight.detach(), v10_parts.projector["model.mm_projector.weight"])
    assert (report.vocabulary, report.source_vocabulary, report.image_token) == (N + 4, N + 4, "<im_patch>")


def test_report_and_folder(imported, v10_parts):
    report, model, processor = imported
    assert type(model) is OslerLlavaForConditionalGeneration
    assert model.config.projector_type == "linear"
    assert report.kind == "llava_med_v1.0_delta"
    tables = layouts.rotary()
    assert set(report.mapped) | set(report.unused) >= {f"delta:{n}" for n in v10_parts.delta.keys() | tables.keys()}
    assert set(report.mapped) | set(report.unused) >= {f"base:{n}" for n in v10_parts.base.keys() | tables.keys()}
    assert {f"vision:vision_model.{n}" for n in v10_parts.clip} <= set(report.mapped)
    assert not set(report.mapped) & set(report.unused)
    assert len(report.unused) == 2 * layouts.LAYERS + 5
    assert report.tensors == len(set(report.mapped.values())) == len(model.state_dict())
    assert "sep_image_conv_front" in report.unused_config
    tokenizer = processor.tokenizer
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, PAD)
    assert model.config.text_config.eos_token_id == 2  # config.json of the delta says 1, which is <s>
    assert processor.image_processor.do_pad is False
    assert processor.image_token == "<im_patch>"


def test_generation_stops_at_the_separator(imported, picture):
    _, model, processor = imported
    batch = encode(processor, [QUESTION], [picture])
    with pytest.raises(ValueError, match="stop strings"):
        model.generate(**batch, max_new_tokens=2)  # loud, rather than an answer that never ends
    out = model.generate(**batch, max_new_tokens=4, tokenizer=processor.tokenizer)
    assert out.shape[1] > batch["input_ids"].shape[1]


def test_training_template_and_own_system_message(tmp_path, v10_source, imported):
    delta, base, clip = v10_source
    report = import_v10(delta, base, clip, tmp_path / "out", template="training", strip_around_image=False)
    training, evaluation = AutoProcessor.from_pretrained(report.out), imported[2]
    turns = [{"role": "user", "content": "What?\n<image>"}, {"role": "assistant", "content": "A lung."}]
    image = "<im_start><im_patch><im_end>"
    want = f"<s>{SYSTEM}\n\n### Human: What?\n{image}\n### Assistant: A lung.\n### "
    assert training.apply_chat_template(turns) == want
    prompt = training.apply_chat_template(turns[:1], add_generation_prompt=True)
    assert want.startswith(prompt)
    assert prompt.endswith("### Assistant:")
    assert evaluation.apply_chat_template(turns) == f"<s>{BEFORE}What?\n{image}###Assistant: A lung.###"
    own = evaluation.apply_chat_template([{"role": "system", "content": "Be brief."}, *turns[:1]])
    assert own.startswith("<s>Be brief.###Human: Hi!###")
    with pytest.raises(ModelError, match="evaluation or training"):
        import_v10(delta, base, clip, tmp_path / "x", template="v1")  # type: ignore[arg-type]


def test_white_space_beside_the_image_is_optional(tmp_path, v10_source, imported, picture):
    delta, base, clip = v10_source
    report = import_v10(delta, base, clip, tmp_path / "out", strip_around_image=False)
    kept = encode(AutoProcessor.from_pretrained(report.out), [QUESTION], [picture])["input_ids"][0].tolist()
    ids = reference_encode(layouts.PIECES, BEFORE + QUESTION + "\n")
    assert kept[1 : kept.index(START)] == ids
    stripped = encode(imported[2], [QUESTION], [picture])["input_ids"][0].tolist()
    assert stripped[1 : stripped.index(START)] == ids[: stripped.index(START) - 1]
    assert len(stripped) < len(kept)


def test_half_precision_sum_is_rounded_once(tmp_path, v10_source, v10_parts):
    delta, base, clip = v10_source
    half = tmp_path / "delta"
    shutil.copytree(delta, half)
    for file in half.glob("*.safetensors*"):
        file.unlink()
    layouts.write_shards(half, {n: t.half() for n, t in v10_parts.delta.items()}, form="bin")
    report = import_v10(half, base, clip, tmp_path / "out")
    assert report.dtype == "float16"
    name = "layers.1.mlp.up_proj.weight"
    got = WeightFiles(report.out, role="out").tensor(f"model.language_model.{name}")
    want = (v10_parts.delta["model." + name].half().float() + v10_parts.base["model." + name]).half()
    assert torch.equal(got, want)


def test_merged_weights_need_no_base_and_say_so(tmp_path, v10_source, v10_parts, imported):
    delta, base, clip = v10_source
    merged = tmp_path / "merged"
    shutil.copytree(delta, merged)
    for file in merged.glob("*.safetensors*"):
        file.unlink()
    layouts.write_shards(merged, v10_parts.text | v10_parts.projector, form="safetensors")
    with pytest.raises(ModelError, match="holds whole weights, not differences; import it without --base"):
        import_v10(merged, base, clip, tmp_path / "out")
    with pytest.raises(ModelError, match="differences only; give the LLaMA-7B folder with --base"):
        import_v10(delta, None, clip, tmp_path / "out")
    report = import_v10(merged, None, clip, tmp_path / "out")
    assert report.kind == "llava_med_v1.0"
    ours, first = WeightFiles(report.out, role="a"), WeightFiles(imported[0].out, role="b")
    for key in ours:
        assert torch.allclose(ours.tensor(key), first.tensor(key), atol=1e-6), key


def rewrite_base(folder, v10_parts, **changes):
    weights = {name: t for name, t in (v10_parts.base | changes).items() if t is not None}
    layouts.write_shards(folder, weights, form="safetensors", shards=1)
    (folder / "config.json").write_text(json.dumps(layouts.LLAMA_CONFIG))
    return folder


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model.embed_tokens.weight": torch.zeros(N + 1, layouts.WIDTH)}, f"belongs to a base of {N}"),
        ({"model.embed_tokens.weight": torch.zeros(N, layouts.WIDTH + 8)}, "not the delta's base"),
        ({"lm_head.weight": torch.zeros(N + 5, layouts.WIDTH)}, "not the delta's base"),
        ({"model.norm.weight": torch.zeros(layouts.WIDTH + 1)}, "not the delta's base"),
        ({"model.norm.weight": None}, "the base has no tensor 'model.norm.weight'"),
        ({"model.layers.9.input_layernorm.weight": torch.zeros(4)}, "is not in the delta"),
        ({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}, "rotary frequencies differ"),
    ],
)
def test_wrong_base(tmp_path, v10_source, v10_parts, changes, reason):
    delta, _, clip = v10_source
    base = rewrite_base(tmp_path / "base", v10_parts, **changes)
    with pytest.raises(ModelError, match=reason):
        import_v10(delta, base, clip, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_base_without_rotary_tables(tmp_path, v10_source, v10_parts, imported):
    """Newer conversions of LLaMA do not store the tables; the delta then holds their bare differences, zeros."""
    delta, _, clip = v10_source
    report = import_v10(delta, rewrite_base(tmp_path / "base", v10_parts), clip, tmp_path / "out")
    assert sum("inv_freq" in key for key in report.unused) == layouts.LAYERS
    assert set(report.mapped) == set(imported[0].mapped)


def altered(tmp_path, delta, **changes):
    copy = tmp_path / "delta"
    shutil.copytree(delta, copy)
    (copy / "config.json").write_text(json.dumps(layouts.V10_CONFIG | changes))
    return copy


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mm_use_im_start_end": False}, "between start and end tokens"),
        ({"mm_vision_tower": "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"}, "BiomedCLIP"),
        ({"vocab_size": N + 3}, "do not fit"),
        ({"image_aspect_ratio": "keep"}, "image_aspect_ratio"),
        ({"mm_hidden_size": 768}, "mm_hidden_size 768"),
        ({"num_hidden_layers": 1}, "no place in the model"),
    ],
)
def test_configuration_that_would_give_another_model(tmp_path, v10_source, change, reason):
    delta, base, clip = v10_source
    with pytest.raises(ModelError, match=reason):
        import_v10(altered(tmp_path, delta, **change), base, clip, tmp_path / "out")


def test_added_tokens(tmp_path, v10_source):
    delta, base, clip = v10_source
    copy = altered(tmp_path, delta)
    listing = copy / "added_tokens.json"
    listing.write_text(json.dumps({"[PAD]": N, "<im_patch>": N + 1, "<im_start>": N + 2}))
    with pytest.raises(ModelError, match="has exactly"):
        import_v10(copy, base, clip, tmp_path / "out")
    listing.write_text(json.dumps({"[PAD]": N + 9, "<im_patch>": N + 1, "<im_start>": N + 2, "<im_end>": N + 3}))
    with pytest.raises(ModelError, match="do not follow the tokenizer"):
        import_v10(copy, base, clip, tmp_path / "out")
    listing.unlink()
    report = import_v10(copy, base, clip, tmp_path / "out")
    assert report.image_token_id == PATCH
    assert "no added_tokens.json" in report.notes[0]


def test_unknown_key_and_clip_of_another_shape(tmp_path, v10_source, v10_parts):
    delta, base, clip = v10_source
    copy = altered(tmp_path, delta)
    for file in copy.glob("*.safetensors*"):
        file.unlink()
    extra = v10_parts.delta | {"model.orig_embeds": torch.zeros(3)}
    layouts.write_shards(copy, extra, form="safetensors")
    with pytest.raises(ModelError, match=r"the base has no tensor 'model.orig_embeds'"):
        import_v10(copy, base, clip, tmp_path / "out")
    small = dict(v10_parts.clip) | {"embeddings.position_embedding.weight": torch.zeros(5, layouts.VISION_WIDTH)}
    with pytest.raises(ModelError, match="shapes do not fit"):
        import_v10(delta, base, layouts.write_clip(tmp_path / "clip", small), tmp_path / "out")
    with pytest.raises(ModelError, match="is not CLIP"):
        import_v10(delta, base, base, tmp_path / "out")
