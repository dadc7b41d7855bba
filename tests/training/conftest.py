"""A tiny model folder and tiny record sets, made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    tiny.model().save(folder)
    return folder


@pytest.fixture(scope="session")
def colour_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    tiny.colour_records(folder, 24)
    tiny.colour_records(folder, 6, start=100, name="dev.jsonl")
    return folder


@pytest.fixture
def recipe_content(tiny_folder: Path, colour_data: Path, tmp_path: Path) -> dict[str, Any]:
    """A recipe with two stages, as a mapping that a test may change."""
    train = [{"records": str(colour_data / "train.jsonl")}]
    return {
        "name": "tiny",
        "out": str(tmp_path / "run"),
        "report_to": [],
        "model": {"start": str(tiny_folder)},
        "stages": [
            {"name": "one", "train": ["projector"], "data": train, "batch_size": 4, "learning_rate": 1e-2},
            {
                "name": "two",
                "train": ["projector", "language"],
                "data": train,
                "dev": {"records": str(colour_data / "dev.jsonl")},
                "epochs": 2,
                "batch_size": 4,
                "learning_rate": 1e-3,
            },
        ],
    }
