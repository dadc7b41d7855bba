"""Adapters: merged into their base, and refused when they would silently do nothing."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model

from osler.errors import ModelError
from osler.models import check_folder, load_model
from osler.models.adapter import is_adapter
from tests import tiny

PROMPT = {"input_ids": torch.tensor([[5, 6, 7, 8]])}


@pytest.fixture
def folders(tmp_path):
    tiny.model("clip").save(tmp_path / "base")
    base = load_model(tmp_path / "base").model
    before = base(**PROMPT).logits.detach().clone()
    targets = r"model\.language_model\..*\.(q_proj|v_proj)"
    wrapped = get_peft_model(base, LoraConfig(r=2, lora_alpha=4, target_modules=targets))
    torch.manual_seed(0)
    for name, value in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value)
    wrapped.peft_config["default"].base_model_name_or_path = "../base"
    wrapped.save_pretrained(tmp_path / "adapter")
    wrapped.eval()
    return tmp_path, before, wrapped(**PROMPT).logits.detach()


def test_merged_is_what_the_adapter_computes(folders):
    root, before, adapted = folders
    assert is_adapter(root / "adapter")
    assert not is_adapter(root / "base")
    check_folder(root / "adapter")
    loaded = load_model(root / "adapter")
    assert type(loaded.model).__name__ == "LlavaForConditionalGeneration"
    assert not any("lora" in name for name, _ in loaded.model.named_parameters())
    found = loaded.model(**PROMPT).logits
    torch.testing.assert_close(found, adapted, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, before, atol=1e-2)
    assert loaded.processor.chat_template


def altered(root, name, change):
    from safetensors.torch import load_file, save_file

    shutil.copytree(root / "adapter", root / name)
    path = root / name / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)
    return root / name


def test_what_would_silently_do_nothing_is_refused(folders):
    root, *_ = folders
    zeros = altered(root, "zeros", lambda w: {k: v * 0 if "lora_B" in k else v for k, v in w.items()})
    with pytest.raises(ModelError, match="changes nothing"):
        load_model(zeros)
    renamed = altered(root, "renamed", lambda w: {k.replace("q_proj", "query"): v for k, v in w.items()})
    with pytest.raises(ModelError, match=r"4 weights of the adapter fit nowhere in the model: .*query"):
        load_model(renamed)
    half = altered(root, "half", lambda w: {k: v for k, v in w.items() if "layers.0" in k})
    with pytest.raises(ModelError, match="absent from the file"):
        load_model(half)


def test_broken_adapter_folders_are_named(folders):
    root, *_ = folders
    config = root / "adapter" / "adapter_config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps({**content, "base_model_name_or_path": "../absent"}))
    with pytest.raises(ModelError, match=r"\.\./absent: no such model folder"):
        check_folder(root / "adapter")
    config.write_text(json.dumps({**content, "base_model_name_or_path": None}))
    with pytest.raises(ModelError, match="names no model"):
        check_folder(root / "adapter")
    config.write_text("{")
    with pytest.raises(ModelError, match="is no adapter configuration"):
        check_folder(root / "adapter")
    config.write_text(json.dumps(content))
    (root / "adapter" / "adapter_model.safetensors").rename(root / "adapter" / "adapter_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        check_folder(root / "adapter")


def test_the_runner_answers_with_the_adapter(folders):
    from osler.evaluation.runners import LocalRunner

    root, *_ = folders
    base, adapted = LocalRunner(root / "base", device="cpu"), LocalRunner(root / "adapter", device="cpu")
    assert adapted.name == str(root / "adapter")
    assert adapted.fingerprint() != base.fingerprint()
    assert adapted.fingerprint() == LocalRunner(root / "adapter", device="cpu").fingerprint()
