"""Coloured pictures with answers and extended answers, and a recipe that aligns them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osler.record_files import read_records, write_records
from tests import tiny


def extend(folder: Path, name: str) -> Path:
    records = [
        record.model_copy(update={"extended": (f"this image is {record.answer} what a {record.answer} image",)})
        for record in read_records(folder / name)
    ]
    write_records(records, folder / name)
    return folder / name


@pytest.fixture(scope="session")
def extended_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extended")
    tiny.colour_records(folder, 24)
    tiny.colour_records(folder, 6, start=100, name="dev.jsonl")
    extend(folder, "train.jsonl")
    return folder


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "model"
    tiny.model().save(folder)
    return folder


@pytest.fixture
def aligned(plain_folder: Path, extended_data: Path, tmp_path: Path) -> dict[str, Any]:
    """A recipe of one stage, as a mapping that a test may change."""
    return {
        "name": "aligned",
        "out": str(tmp_path / "run"),
        "report_to": [],
        "model": {"start": str(plain_folder)},
        "stages": [
            {
                "name": "two",
                "train": ["projector", "language"],
                "data": [{"records": str(extended_data / "train.jsonl")}],
                "dev": {"records": str(extended_data / "dev.jsonl")},
                "objectives": {"autoregressive": 1.0, "graph_alignment": 1.0},
                "batch_size": 8,
                "epochs": 2,
                "learning_rate": 1e-2,
                "evaluations": 1,
                "log_every": 1,
                "max_length": 128,
            }
        ],
    }
