"""PMC-VQA. Columns and the first row: https://huggingface.co/datasets/xmcmic/PMC-VQA (README, "Sample")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osler.record_options import options_of
from tests.sources.published import fetch, picture, table, told


def row(**changes: Any) -> dict[str, Any]:
    return {
        "Figure_path": "PMC1064097_F1.jpg",
        "Question": "What is the uptake pattern in the breast?",
        "Anwser": "Focal uptake pattern",
        "Choice A": "A:Diffuse uptake pattern",
        "Choice B": "B:Focal uptake pattern",
        "Choice C": "C:No uptake pattern",
        "Choice D": "D:Cannot determine from the information given",
        "Answer_label": "B",
        **changes,
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    picture(tmp_path / "pmc" / "images" / "PMC1064097_F1.jpg")
    return tmp_path / "pmc"


def test_the_documented_row(home: Path) -> None:
    table(home / "test_clean.csv", [row()])
    table(home / "test.csv", [row(), row(Anwser="B:Focal uptake pattern", Answer_label="")])
    table(home / "train.csv", [{key: value for key, value in row().items() if key != "Answer_label"}])
    records, aside, _ = fetch("pmc-vqa", home)
    assert aside == []
    assert {name: len(part) for name, part in records.items()} == {
        "test.jsonl": 2, "test_clean.jsonl": 1, "train.jsonl": 1,
    }  # fmt: skip
    (record,) = records["test_clean.jsonl"]
    assert record.answer == "Focal uptake pattern"
    assert options_of(record) == (
        "Diffuse uptake pattern", "Focal uptake pattern", "No uptake pattern",
        "Cannot determine from the information given",
    )  # fmt: skip
    assert record.images[0].path == "images/PMC1064097_F1.jpg"
    assert record.provenance.split == "test"


def test_version_2_with_letters_for_answers(home: Path) -> None:
    (home / "images").rename(home / "figures")
    changed = {"Answer" if key == "Anwser" else key: value for key, value in row(Anwser="B").items()}
    table(home / "test_2.csv", [{"index": 0, **changed, "Caption": "x", "split": "test"}])
    records, aside, _ = fetch("pmc-vqa", home, version="2")
    assert aside == []
    assert records["test.jsonl"][0].answer == "Focal uptake pattern"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"Question": ""}, "Question"),
        ({"Choice B": ""}, "Choice B"),
        ({"Choice B": "C:x"}, "Choice B"),
        ({"Choice C": "C:Focal uptake pattern"}, "options"),
        ({"Anwser": "another", "Answer_label": ""}, "Anwser"),
        ({"Anwser": "", "Answer_label": ""}, "Answer"),
        ({"Answer_label": "C"}, "Answer_label"),
        ({"Answer_label": "AB"}, "Answer_label"),
        ({"Figure_path": "absent.jpg"}, "Figure_path"),
    ],
)
def test_bad_rows(changes: dict[str, str], field: str, home: Path) -> None:
    table(home / "test.csv", [row(), row(**changes)])
    records, aside, _ = fetch("pmc-vqa", home)
    assert told(aside) == [("test.csv", 3, field)]
    assert len(records["test.jsonl"]) == 1
