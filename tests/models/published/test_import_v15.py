"""Run with: pytest tests/models/published/test_import_v15.py"""

from __future__ import annotations

import json

import numpy as np
import original_layouts as layouts
import pytest
import torch
from PIL import Image
from plain_llava import llava_logits
from safetensors import safe_open
from tiny_tokenizer import reference_encode
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

from osler.errors import ModelError
from osler.models.published import import_v15
from osler.models.published.weights import WeightFiles

ROWS = len(layouts.PIECES)
GEOMETRY = {
    "vision_prefix": layouts.V15_VISION,
    "vision_heads": 2,
    "heads": 4,
    "kv_heads": 2,
    "theta": 1e6,
    "eps": 1e-5,
}
QUESTION = "What is shown in the left lung?"


def prompt_ids(question: str) -> list[int | str]:
    """Ids as the original loader makes them: the text before and after the image on their own."""
    encode = lambda text: reference_encode(layouts.PIECES, text)  # noqa: E731
    return [1, *encode("[INST] "), "image", *encode(f"\n{question} [/INST]")]


def squared_pixels(picture: Image.Image) -> torch.Tensor:
    """Pad to a square with CLIP's mean colour, resize, normalise; by Pillow and NumPy."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), (122, 116, 104))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    pixels = np.asarray(square.resize((layouts.SIDE, layouts.SIDE), Image.Resampling.BICUBIC)) / 255.0
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    return torch.tensor((pixels - mean) / std).permute(2, 0, 1)[None]


def message(question: str) -> list[dict]:
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]


def encode(processor, questions: list[str], pictures: list[Image.Image], **kwargs):
    text = [processor.apply_chat_template(message(q), add_generation_prompt=True) for q in questions]
    return processor(text=text, images=pictures, return_tensors="pt", padding=True, add_special_tokens=False, **kwargs)


@pytest.fixture(scope="module")
def imported(tmp_path_factory, v15_source):
    out = tmp_path_factory.mktemp("imported") / "model"
    report = import_v15(v15_source, out, max_shard_bytes=200_000)
    model, info = AutoModelForImageTextToText.from_pretrained(out, output_loading_info=True)
    assert not any(info.values())
    return report, model.eval(), AutoProcessor.from_pretrained(out)


def test_logits_equal_the_plain_tensor_model(imported, v15_weights, picture):
    _, model, processor = imported
    batch = encode(processor, [QUESTION], [picture])
    want = llava_logits(v15_weights, prompt_ids(QUESTION), squared_pixels(picture), **GEOMETRY)
    with torch.no_grad():
        got = model(**batch).logits[0, :, :ROWS].double()
    assert want.std() > 0.3  # a flat output would agree with anything
    assert torch.allclose(got, want, atol=1e-4, rtol=0)
    swapped = dict(v15_weights)  # and the comparison notices one exchanged matrix
    a, b = "model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight"
    swapped[a], swapped[b] = v15_weights[b], v15_weights[a]
    assert not torch.allclose(
        got, llava_logits(swapped, prompt_ids(QUESTION), squared_pixels(picture), **GEOMETRY), atol=1e-2
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_batch_equals_single_prompts(imported, v15_weights, picture, side):
    _, model, processor = imported
    questions = [QUESTION, "Is there a lesion?"]
    pictures = [picture, picture.rotate(90, expand=True)]
    batch = encode(processor, questions, pictures, padding_side=side)
    assert (batch["attention_mask"] == 0).any()
    with torch.no_grad():
        logits = model(**batch).logits
    for row, (question, image) in enumerate(zip(questions, pictures, strict=True)):
        want = llava_logits(v15_weights, prompt_ids(question), squared_pixels(image), **GEOMETRY)
        got = logits[row][batch["attention_mask"][row].bool()][:, :ROWS].double()
        assert torch.allclose(got, want, atol=1e-4, rtol=0)


def test_text_only_prompt(imported, v15_weights):
    _, model, processor = imported
    batch = processor(text=["[INST] Hello [/INST]"], return_tensors="pt")
    ids = [1, *reference_encode(layouts.PIECES, "[INST] Hello [/INST]")]
    assert batch["input_ids"][0].tolist() == ids
    with torch.no_grad():
        got = model(**batch).logits[0, :, :ROWS].double()
    assert torch.allclose(got, llava_logits(v15_weights, ids, None, **GEOMETRY), atol=1e-4, rtol=0)


def test_greedy_answer_has_many_tokens_and_equals_the_reference(imported, v15_weights, picture):
    """The released CLI stopped after one token; the answer here is the plain model's, token for token."""
    _, model, processor = imported
    batch = encode(processor, [QUESTION], [picture])
    answer = model.generate(**batch, max_new_tokens=6)[0, batch["input_ids"].shape[1] :].tolist()
    ids = prompt_ids(QUESTION)
    want: list[int] = []
    while len(want) < 6 and 2 not in want:
        logits = llava_logits(v15_weights, [*ids, *want], squared_pixels(picture), **GEOMETRY)
        want.append(int(logits[-1].argmax()))
    assert len(want) > 1
    assert answer == want


def test_added_rows_cannot_win(imported, picture):
    report, model, processor = imported
    assert (report.source_vocabulary, report.vocabulary % 64, report.image_token_id) == (ROWS, 0, ROWS)
    with torch.no_grad():
        logits = model(**encode(processor, [QUESTION], [picture])).logits[0]
    old, new = logits[:, :ROWS], logits[:, ROWS:]
    assert torch.allclose(new, old.mean(-1, keepdim=True).expand_as(new), atol=1e-5)
    assert (new.max(-1).values < old.max(-1).values).all()
    share = logits.softmax(-1)[:, ROWS:].sum(-1)
    assert (share <= new.shape[1] / logits.shape[1] + 1e-6).all()
    assert model.generation_config.suppress_tokens == list(range(ROWS, report.vocabulary))


def test_report_accounts_for_every_tensor(imported, v15_weights):
    report, model, _ = imported
    assert report.kind == "llava_med_v1.5"
    assert set(report.mapped) == {f"checkpoint:{name}" for name in v15_weights}
    assert report.unused == {}
    assert report.tensors == len(v15_weights) == len(model.state_dict())
    assert report.parameters == sum(t.numel() for t in model.state_dict().values())
    assert report.shards > 3
    assert {"segtok_posembed", "vision_backbone", "tune_vision_tokenizer"} <= set(report.unused_config)
    assert not {"hidden_size", "rope_theta", "mm_projector_type"} & set(report.unused_config)
    saved = json.loads((report.out / "import_report.json").read_text())
    assert saved["mapped"] == report.mapped
    assert not list(report.out.parent.glob(".*partial"))


def test_folder_is_plain_llava_in_the_layout_that_others_read(imported):
    report, model, processor = imported
    assert type(model) is LlavaForConditionalGeneration
    config = json.loads((report.out / "config.json").read_text())
    assert (config["model_type"], config["text_config"]["model_type"]) == ("llava", "mistral")
    assert config["text_config"]["sliding_window"] is None
    assert config["text_config"]["rope_parameters"]["rope_theta"] == 1e6
    index = json.loads((report.out / "model.safetensors.index.json").read_text())
    keys = set()
    for name in set(index["weight_map"].values()):
        with safe_open(report.out / name, "pt") as file:
            keys |= set(file.keys())
    assert keys == set(index["weight_map"])
    assert {
        "language_model.model.embed_tokens.weight",
        "language_model.lm_head.weight",
        "vision_tower.vision_model.embeddings.class_embedding",
        "multi_modal_projector.linear_2.bias",
    } <= keys
    assert processor.tokenizer.padding_side == "left"
    assert processor.image_processor.do_pad is True


def test_chat_template(imported, picture):
    _, _, processor = imported
    turns = [
        *message(QUESTION),
        {"role": "assistant", "content": "A nodule."},
        {"role": "user", "content": "Where?"},
    ]
    text = processor.apply_chat_template(turns, add_generation_prompt=True)
    assert text == f"<s>[INST] <image>\n{QUESTION} [/INST] A nodule. </s>[INST] Where? [/INST]"
    first = processor.apply_chat_template([{"role": "user", "content": f"<image>\n{QUESTION}"}])
    assert first == f"<s>[INST] <image>\n{QUESTION} [/INST]"
    ids = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": QUESTION}]}],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )["input_ids"][0].tolist()
    patches = layouts.GRID**2
    want = [n for item in prompt_ids(QUESTION) for n in ([ROWS] * patches if item == "image" else [item])]
    assert ids == want  # one begin token, and the placeholders of one image
    with pytest.raises(Exception, match="without a system message"):
        processor.apply_chat_template([{"role": "system", "content": "Be brief."}, *turns])
    with pytest.raises(Exception, match="alternate"):
        processor.apply_chat_template([*turns, *turns[:1]])


def test_assistant_mask_covers_answer_and_end(imported):
    _, _, processor = imported
    turns = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Left."}]
    out = processor.tokenizer.apply_chat_template(
        turns, chat_template=processor.chat_template, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    marked = [i for i, m in zip(out["input_ids"], out["assistant_masks"], strict=True) if m]
    assert marked[-1] == 2
    assert processor.tokenizer.decode(marked, skip_special_tokens=True).strip() == "Left."


@pytest.mark.parametrize("form", ["bin", "old_bin"])
def test_torch_pickles_give_the_same_folder(tmp_path, imported, v15_weights, form):
    source = layouts.write_v15(tmp_path / "source", v15_weights, form=form)
    report = import_v15(source, tmp_path / "out")
    assert report.shards == 1
    ours, first = WeightFiles(tmp_path / "out", role="a"), WeightFiles(imported[0].out, role="b")
    assert set(ours) == set(first)
    assert all(torch.equal(ours.tensor(key), first.tensor(key)) for key in ours)


def test_dtype_is_stored_unless_asked_for(tmp_path, v15_weights):
    half = {name: tensor.bfloat16() for name, tensor in v15_weights.items()}
    source = layouts.write_v15(tmp_path / "source", half)
    assert import_v15(source, tmp_path / "a").dtype == "bfloat16"
    assert json.loads((tmp_path / "a" / "config.json").read_text())["dtype"] == "bfloat16"
    assert AutoModelForImageTextToText.from_pretrained(tmp_path / "a").dtype == torch.bfloat16
    report = import_v15(source, tmp_path / "b", dtype="float32")
    assert report.size_bytes == 4 * report.parameters
    with pytest.raises(ModelError, match="float32, float16, bfloat16"):
        import_v15(source, tmp_path / "c", dtype="int8")


def bare_vision(weights) -> dict[str, torch.Tensor]:
    at = layouts.V15_VISION
    return {name.removeprefix(at): t for name, t in weights.items() if name.startswith(at)}


def test_stored_and_external_vision_are_compared(tmp_path, v15_source, v15_weights):
    vision = bare_vision(v15_weights)
    same = layouts.write_clip(tmp_path / "same", vision)
    report = import_v15(v15_source, tmp_path / "a", vision=same)
    assert (report.differences, report.vision_source) == ([], "checkpoint")
    assert report.unused["vision:logit_scale"] == "text half of CLIP"
    assert "vision:vision_model.embeddings.position_ids" in report.unused

    changed = {name: tensor.clone() for name, tensor in vision.items()}
    changed["post_layernorm.bias"][3] += 0.5
    changed["encoder.layers.1.mlp.fc1.weight"][0, :2] -= 0.25
    other = layouts.write_clip(tmp_path / "other", changed)
    report = import_v15(v15_source, tmp_path / "b", vision=other)
    found = {d.name: (round(d.max_abs, 4), d.changed) for d in report.differences}
    at = "model.vision_tower."
    assert found == {at + "post_layernorm.bias": (0.5, 1), at + "encoder.layers.1.mlp.fc1.weight": (0.25, 2)}
    kept = WeightFiles(tmp_path / "b", role="out").tensor("vision_tower.vision_model.post_layernorm.bias")
    assert torch.equal(kept, vision["post_layernorm.bias"])

    report = import_v15(v15_source, tmp_path / "c", vision=other, prefer_vision="external")
    kept = WeightFiles(tmp_path / "c", role="out").tensor("vision_tower.vision_model.post_layernorm.bias")
    assert torch.equal(kept, changed["post_layernorm.bias"])
    assert report.vision_source == "external"
    assert sum(why == "the other vision encoder is used" for why in report.unused.values()) == len(vision)


def test_rounding_is_no_difference(tmp_path, v15_weights):
    half = {name: tensor.bfloat16() for name, tensor in v15_weights.items()}
    source = layouts.write_v15(tmp_path / "source", half)
    clip = layouts.write_clip(tmp_path / "clip", bare_vision(v15_weights))  # the same encoder before rounding
    assert import_v15(source, tmp_path / "out", vision=clip).differences == []


def test_checkpoint_without_vision_needs_a_folder(tmp_path, v15_weights):
    bare = {name: t for name, t in v15_weights.items() if not name.startswith(layouts.V15_VISION)}
    source = layouts.write_v15(tmp_path / "source", bare)
    with pytest.raises(ModelError, match="no vision weights; give the CLIP folder with --vision"):
        import_v15(source, tmp_path / "out")
    clip = layouts.write_clip(tmp_path / "clip", bare_vision(v15_weights))
    report = import_v15(source, tmp_path / "out", vision=clip)
    assert report.vision_source == "external"
    assert not any(AutoModelForImageTextToText.from_pretrained(report.out, output_loading_info=True)[1].values())


def test_another_encoder_is_refused_unless_its_folder_is_given(tmp_path, v15_weights):
    source = layouts.write_v15(tmp_path / "source", v15_weights, mm_vision_tower="somebody/siglip-large")
    with pytest.raises(ModelError, match="not an OpenAI CLIP ViT"):
        import_v15(source, tmp_path / "out")
    clip = layouts.write_clip(tmp_path / "clip", bare_vision(v15_weights))
    assert import_v15(source, tmp_path / "out", vision=clip).vision_source == "checkpoint"


def test_old_files_with_buffers_and_an_image_token_in_the_tokenizer_rows(tmp_path, v15_weights):
    weights = dict(v15_weights) | layouts.rotary(1e6)
    weights[layouts.V15_VISION + "embeddings.position_ids"] = torch.arange(layouts.GRID**2 + 1)[None]
    source = layouts.write_v15(tmp_path / "source", weights)
    report = import_v15(source, tmp_path / "out")
    assert len(report.unused) == layouts.LAYERS + 1
    assert len(report.unused) + len(report.mapped) == len(weights)
    weights |= layouts.rotary(1e4)
    source = layouts.write_v15(tmp_path / "wrong", weights)
    with pytest.raises(ModelError, match="rotary frequencies differ from rope_theta 1e"):
        import_v15(source, tmp_path / "out2")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mm_projector_type": "linear"}, "mm_projector_type = 'linear' cannot be imported"),
        ({"mm_use_im_start_end": True}, "no start, end or patch tokens"),
        ({"mm_patch_merge_type": "spatial"}, "mm_patch_merge_type"),
        ({"image_aspect_ratio": "anyres"}, "image_aspect_ratio"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling"),
        ({"mm_hidden_size": 1024}, "mm_hidden_size 1024"),
        ({"vocab_size": ROWS + 1}, "do not fit; take all files from one download"),
        ({"num_hidden_layers": 3}, "tensor.s. of the model are not in the checkpoint"),
        ({"intermediate_size": 100}, "shapes do not fit config.json"),
        ({"rope_theta": None}, "rope_theta: expected float, got None"),
        ({"model_type": "llava_llama"}, "LLaVA-1.5 in its original LLaMA layout"),
    ],
)
def test_configuration_that_would_give_another_model(tmp_path, v15_weights, change, reason):
    source = layouts.write_v15(tmp_path / "source", v15_weights, **change)
    with pytest.raises(ModelError, match=reason):
        import_v15(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def test_unknown_key_is_never_dropped(tmp_path, v15_weights):
    weights = dict(v15_weights) | {"model.image_newline": torch.zeros(layouts.WIDTH)}
    source = layouts.write_v15(tmp_path / "source", weights)
    with pytest.raises(ModelError, match=r"checkpoint:model.image_newline; this is not the layout"):
        import_v15(source, tmp_path / "out")


def test_missing_and_truncated_shards(tmp_path, v15_weights):
    source = layouts.write_v15(tmp_path / "source", v15_weights)
    shard = source / "model-00002-of-00003.safetensors"
    data = shard.read_bytes()
    shard.write_bytes(data[:-100])
    with pytest.raises(ModelError, match=r"00002-of-00003.safetensors: truncated"):
        import_v15(source, tmp_path / "out")
    shard.unlink()
    with pytest.raises(ModelError, match=r"shard model-00002-of-00003.safetensors is missing"):
        import_v15(source, tmp_path / "out")
    shard.write_bytes((source / "model-00001-of-00003.safetensors").read_bytes())
    with pytest.raises(ModelError, match="holds other tensors than"):
        import_v15(source, tmp_path / "out")
    source = layouts.write_v15(tmp_path / "bin", v15_weights, form="bin")
    shard = source / "pytorch_model-00003-of-00003.bin"
    shard.write_bytes(shard.read_bytes()[:-2000])
    with pytest.raises(ModelError, match=r"00003-of-00003.bin: "):
        import_v15(source, tmp_path / "out")


class Payload:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("form", ["bin", "old_bin"])
def test_pickle_with_code_is_refused_and_not_run(tmp_path, v15_weights, form):
    source = layouts.write_v15(tmp_path / "source", v15_weights, form=form)
    trap = tmp_path / "ran"
    content = dict(v15_weights) | {"extra": Payload(trap)}
    for shard in source.glob("*.bin"):
        torch.save(content, shard, _use_new_zipfile_serialization=form == "bin")
    with pytest.raises(ModelError, match="would run code when loaded"):
        import_v15(source, tmp_path / "out")
    assert not trap.exists()
    torch.save(content, tmp_path / "control.bin")
    torch.load(tmp_path / "control.bin", weights_only=False)  # the trap does work
    assert trap.exists()


def test_index_must_not_leave_its_folder(tmp_path, v15_weights):
    source = layouts.write_v15(tmp_path / "source", v15_weights)
    (tmp_path / "elsewhere.safetensors").write_bytes((source / "model-00001-of-00003.safetensors").read_bytes())
    index = source / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["lm_head.weight"] = "../elsewhere.safetensors"
    index.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="outside the checkpoint folder"):
        import_v15(source, tmp_path / "out")


def test_vocabulary_padding_is_a_choice(tmp_path, v15_source):
    report = import_v15(v15_source, tmp_path / "out", vocabulary_multiple=1)
    assert report.vocabulary == ROWS + 1
    with pytest.raises(ModelError, match="vocabulary_multiple 0"):
        import_v15(v15_source, tmp_path / "out2", vocabulary_multiple=0)


def test_existing_folder_is_kept(tmp_path, v15_source):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(ModelError, match="exists already"):
        import_v15(v15_source, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"
