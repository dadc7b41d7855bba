"""Run the command line in this process, as the console script does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import tiny


class Result(NamedTuple):
    status: int
    out: str
    err: str


Osler = Callable[..., Result]


@pytest.fixture
def osler(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Osler:
    def run(*arguments: object) -> Result:
        from osler.cli import main

        monkeypatch.setattr(sys, "argv", ["osler", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(bool(error.code))
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny.model().save(folder)
    return folder


@pytest.fixture(scope="session")
def records_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    tiny.colour_records(folder, 12)
    tiny.colour_records(folder, 6, start=100, name="test.jsonl")
    return folder
