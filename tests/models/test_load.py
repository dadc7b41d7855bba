from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from osler.errors import ModelError
from osler.models import check_folder, load_model
from tests import tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.model().save(tmp_path / "m")
    return tmp_path / "m"


def test_a_missing_weight_is_never_made_up(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    gone = next(name for name in state if "vision" in name)
    state.pop(gone)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="1 weights absent from the file, so they would be random"):
        load_model(folder)


def test_an_unused_weight_is_never_ignored(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["extra.weight"] = torch.zeros(2)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"in the file but unused by the model: extra\.weight"):
        load_model(folder)


def test_a_weight_of_another_shape_is_refused(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    name = next(name for name in state if "linear_1.weight" in name)
    state[name] = torch.zeros(3, 3)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"linear_1|shape"):
        load_model(folder)


def test_truncated_weights_are_an_error_that_names_the_folder(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"m: cannot be loaded as a vision-language model"):
        load_model(folder)


def test_pickled_weights_are_not_opened(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(folder)


def test_folders_that_are_no_models(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        check_folder(tmp_path / "absent")
    with pytest.raises(ModelError, match="no such model folder"):
        check_folder("./runs/typo")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match=r"config\.json is missing; it is empty"):
        check_folder(empty)
    (empty / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not readable as JSON"):
        check_folder(empty)
    (empty / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="has no model_type"):
        check_folder(empty)
    (empty / "config.json").write_text('{"model_type": "llava", "mm_vision_tower": "clip"}')
    with pytest.raises(ModelError, match="convert it with `osler import"):
        check_folder(empty)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="code of its own"):
        load_model(folder)


def test_dtype_is_as_asked(folder: Path) -> None:
    assert load_model(folder).model.dtype == torch.float32
    assert load_model(folder, dtype="bfloat16").model.dtype == torch.bfloat16


@pytest.mark.parametrize("family", ["qwen", "gemma", "smolvlm"])
def test_other_families_save_and_load_without_torchvision(family: str, tmp_path: Path) -> None:
    from PIL import Image

    from osler.evaluation.runners import LocalRunner, Request
    from osler.models import LoadedModel
    from osler.records import Turn
    from tests.evaluation import tiny_models

    built = LoadedModel(*getattr(tiny_models, family)())
    built.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    first, second = built.model.state_dict(), loaded.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    request = Request(
        turns=(Turn(role="user", text="<image> what is this ?"),),
        images=(Image.effect_noise((40, 40), 90).convert("RGB"),),
    )
    answers = [
        LocalRunner(m, max_new_tokens=6).answer([request])[0].text
        for m in ((built.model, built.processor), tmp_path / "m")
    ]
    assert answers[0] == answers[1] != ""
