"""Run with: pytest tests/models/published/test_detect_checkpoint.py"""

from __future__ import annotations

import json

import pytest

from osler.errors import ModelError
from osler.models.published import detect_checkpoint, import_v10, import_v15


def test_each_kind(tmp_path, v15_source, v10_source):
    delta, base, clip = v10_source
    assert detect_checkpoint(v15_source) == "llava_med_v1.5"
    assert detect_checkpoint(str(delta)) == "llava_med_v1.0_delta"
    import_v15(v15_source, tmp_path / "a")
    import_v10(delta, base, clip, tmp_path / "b")
    assert detect_checkpoint(tmp_path / "a") == detect_checkpoint(tmp_path / "b") == "huggingface"
    with pytest.raises(ModelError, match="text-only language model"):
        detect_checkpoint(base)
    with pytest.raises(ModelError, match="give it as --vision"):
        detect_checkpoint(clip)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "llava_llama"}, "llava-hf"),
        ({"model_type": "bert"}, "model_type 'bert' is not a checkpoint"),
        ({}, "model_type None"),
        ([], "expected a JSON object"),
    ],
)
def test_anything_else_is_named(tmp_path, config, reason):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=reason):
        detect_checkpoint(tmp_path)


def test_no_checkpoint_at_all(tmp_path):
    with pytest.raises(ModelError, match="no such folder"):
        detect_checkpoint(tmp_path / "absent")
    with pytest.raises(ModelError, match=r"no config.json"):
        detect_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        detect_checkpoint(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="merge it into its base model"):
        detect_checkpoint(tmp_path)


def test_wrong_importer(tmp_path, v15_source, v10_source):
    delta, base, clip = v10_source
    with pytest.raises(ModelError, match=r"not LLaVA-Med v1.5"):
        import_v15(delta, tmp_path / "out")
    with pytest.raises(ModelError, match=r"not LLaVA-Med v1.0"):
        import_v10(v15_source, base, clip, tmp_path / "out")
