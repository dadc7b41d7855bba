from __future__ import annotations

from pathlib import Path

import pytest

from osler.sources import phantom
from tests.cli.conftest import Osler
from tests.study import fake


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    phantom.build(folder, size="tiny")
    return folder


def test_dry_run_lists_the_grid_and_writes_nothing(osler: Osler, data: Path, tmp_path: Path) -> None:
    options = ("--data", data, "--out", tmp_path / "work", "--results", tmp_path / "results", "--dry-run")
    result = osler("study", "data-efficiency", *options)
    assert result.status == 0, result.err
    assert result.out.count("to do") == 72
    assert "0 of 72 done" in result.out
    one = osler("study", "data-efficiency", *options, "--only", "variant=siglip,fraction=0.7,seed=1")
    assert "siglip-0.7-s1-steps" in one.out
    assert "0 of 1 done" in one.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--only", "variant=siglop"), "did you mean 'siglip'"),
        (("--set", "stages.pretrain.learnin_rate=1"), "did you mean 'learning_rate'"),
        (("--data", "nowhere"), "nowhere/manifest.json: no such file"),
    ],
)
def test_faults_end_with_a_message_and_status_2(
    osler: Osler, data: Path, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    given = {"--data": str(data), "--out": str(tmp_path / "work"), "--results": str(tmp_path / "results")}
    arguments = [part for pair in (given | dict([options])).items() for part in pair]
    result = osler("study", "data-efficiency", "--dry-run", *arguments)
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_report_from_results_alone(osler: Osler, tmp_path: Path) -> None:
    fake.write(tmp_path / "results")
    result = osler("study", "report", "--results", tmp_path / "results", "--out", tmp_path / "docs" / "study.md")
    assert result.status == 0, result.err
    assert "| InfoNCE |" in (tmp_path / "docs" / "study.md").read_text()
    assert (tmp_path / "docs" / "study.png").is_file()
    next((tmp_path / "results").glob("none-1-s0-steps.json")).write_text("{")
    broken = osler("study", "report", "--results", tmp_path / "results", "--out", tmp_path / "study.md")
    assert broken.status == 2
    assert "none-1-s0-steps.json: not readable as JSON" in broken.err


def test_help_explains_every_option(osler: Osler) -> None:
    text = osler("study", "data-efficiency", "--help").out
    for option in ("--data", "--out", "--results", "--only", "--jobs", "--dry-run", "--keep-models"):
        assert option in text
