"""`osler import`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osler.cli.import_checkpoint import import_checkpoint
from osler.errors import ModelError
from osler.models import load_model


def test_v15_is_converted_and_the_account_is_readable(
    v15_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_checkpoint(v15_source, out=tmp_path / "model", base=None, vision=None, dtype=None)
    said = capsys.readouterr().out
    assert "llava_med_v1.5" in said
    assert "<image> was added" in said
    assert max(len(line) for line in said.splitlines()) < 400
    assert json.loads((tmp_path / "model" / "import_report.json").read_text())["mapped"]
    assert load_model(tmp_path / "model").model.config.model_type == "llava"


def test_what_cannot_be_imported_is_said(v15_source: Path, tmp_path: Path) -> None:
    import_checkpoint(v15_source, out=tmp_path / "model", base=None, vision=None, dtype=None)
    with pytest.raises(ModelError, match="is a Hugging Face folder already"):
        import_checkpoint(tmp_path / "model", out=tmp_path / "again", base=None, vision=None, dtype=None)
    with pytest.raises(ModelError, match="convert it with `osler import"):
        load_model(v15_source)
