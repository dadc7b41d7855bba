from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from osler.models import LoadedModel
from tests.cli.conftest import Osler
from tests.evaluation import tiny_models


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose random weights are wide enough to say something."""
    folder = tmp_path_factory.mktemp("chatty") / "llava"
    LoadedModel(*tiny_models.llava()).save(folder)
    return folder


def test_one_question_prints_one_answer_and_the_notice(osler: Osler, model_folder: Path, records_folder: Path) -> None:
    picture = records_folder / "images" / "0.png"
    result = osler("chat", model_folder, "--image", picture, "--ask", "What colour is this?", "--max-new-tokens", "5")
    assert result.status == 0, result.err
    assert result.out.strip()
    assert "Not for clinical use" in result.err
    again = osler("chat", model_folder, "--image", picture, "--ask", "What colour is this?", "--max-new-tokens", "5")
    assert again.out == result.out


def test_a_conversation_goes_through_a_pipe(osler: Osler, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello\nand then?\n"))
    result = osler("chat", model_folder, "--max-new-tokens", "4")
    assert result.status == 0, result.err
    assert result.out.count("\n") >= 2


def test_absent_image_and_model_are_named(osler: Osler, model_folder: Path, tmp_path: Path) -> None:
    result = osler("chat", model_folder, "--image", tmp_path / "no.png", "--ask", "?")
    assert result.status == 2
    assert "no.png" in result.err
    result = osler("chat", tmp_path / "no-model", "--ask", "?")
    assert result.status == 2
    assert "no such model folder" in result.err
