from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Osler


@pytest.fixture
def recipe(model_folder: Path, records_folder: Path, tmp_path: Path) -> Path:
    content: dict[str, Any] = {
        "name": "cli",
        "out": str(tmp_path / "run"),
        "report_to": ["tensorboard"],
        "model": {"start": str(model_folder)},
        "stages": [
            {"name": "only", "data": [{"records": str(records_folder / "train.jsonl")}], "batch_size": 4},
        ],
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_train_writes_model_curve_and_log(osler: Osler, recipe: Path, tmp_path: Path) -> None:
    result = osler("train", recipe, "stages.only.learning_rate=1e-2")
    assert result.status == 0, result.err
    run = tmp_path / "run"
    assert (run / "model" / "model.safetensors").is_file()
    assert (run / "loss.png").is_file()
    assert list((run / "only" / "logs").rglob("events.out.tfevents*"))
    saved = yaml.safe_load((run / "recipe.yaml").read_text())
    assert saved["stages"][0]["learning_rate"] == 1e-2
    state = json.loads((run / "run.json").read_text())
    assert state["stages"]["only"]["records"] == 12
    assert "torch" in state["versions"]


def test_dry_run_shows_the_plan_and_writes_nothing(osler: Osler, recipe: Path, tmp_path: Path) -> None:
    result = osler("train", recipe, "--dry-run")
    assert result.status == 0, result.err
    assert "stage only: 12 records, 3 optimiser steps" in result.out
    assert "trainable: projector 1,600 of" in result.out
    assert "memory, estimated" in result.out
    assert not (tmp_path / "run").exists()


def test_list_names_every_built_in_recipe(osler: Osler) -> None:
    out = osler("train", "--list").out
    assert "llava_med/stage1" in out
    assert "small/demo" in out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stages.only.learnin_rate=1", "did you mean 'learning_rate'"),
        ("model.start=runs/typo/model", "runs/typo/model: no such model folder"),
        ("stages.only.data.0.records=nowhere.jsonl", "nowhere.jsonl: no such record file"),
    ],
)
def test_faults_end_with_a_message_and_status_2(osler: Osler, recipe: Path, change: str, message: str) -> None:
    result = osler("train", recipe, change)
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_bad_record_is_named_by_file_line_and_field(
    osler: Osler, recipe: Path, records_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(records_folder, tmp_path / "bad")
    path = tmp_path / "bad" / "train.jsonl"
    lines = path.read_text().splitlines()
    record = json.loads(lines[2])
    record["regions"] = [{"box": {"xyxy": [5, 5, 90, 20], "size": [40, 30]}, "label": "spot"}]
    lines[2] = json.dumps(record)
    path.write_text("\n".join(lines) + "\n")
    result = osler("train", recipe, f"stages.only.data.0.records={path}")
    assert result.status == 2
    assert "train.jsonl:3: regions.0.box" in result.err
    assert "lies outside its image of 40 x 30 pixels" in result.err


@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_picture_stops_the_run_and_is_named(
    osler: Osler, recipe: Path, records_folder: Path, tmp_path: Path, workers: int
) -> None:
    shutil.copytree(records_folder, tmp_path / "bad")
    picture = tmp_path / "bad" / "images" / "5.png"
    picture.write_bytes(picture.read_bytes()[:60])
    records = f"stages.only.data.0.records={tmp_path / 'bad' / 'train.jsonl'}"
    result = osler("train", recipe, records, f"stages.only.workers={workers}")
    assert result.status == 2
    assert "5.png: " in result.err
    assert "Traceback" not in result.err


def test_a_full_disk_ends_with_a_message_and_the_run_resumes(osler: Osler, recipe: Path, tmp_path: Path) -> None:
    """A real full file system: a tmpfs that holds the run's small files but not the model."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small tmpfs cannot be mounted: needs root")
    try:
        result = osler("train", recipe, f"out={disk / 'run'}", "report_to=[]")
        assert result.status == 2, result.err
        assert "no space left on the device" in result.err
        assert "resume" in result.err
        assert not (disk / "run" / "model").exists()
        assert json.loads((disk / "run" / "run.json").read_text())["stages"] == {}
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        again = osler("train", recipe, f"out={disk / 'run'}", "report_to=[]")
        assert again.status == 0, again.err
        assert (disk / "run" / "model" / "model.safetensors").is_file()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
