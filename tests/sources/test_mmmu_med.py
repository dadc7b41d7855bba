"""MMMU. Folders: https://huggingface.co/datasets/MMMU/MMMU/tree/main/Clinical_Medicine; columns: its dataset card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osler.record_options import options_of
from tests.sources.published import fetch, hub_image, parquet, told


def row(folder: Path, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"validation_Clinical_Medicine_{number}",
        "question": "Which finding does <image 1> show?",
        "options": "['Fracture', \"Crohn's disease\", 'Neither']",
        "explanation": "",
        "image_1": hub_image(folder, number),
        "image_2": None,
        "img_type": "['Medical Images']",
        "answer": "B",
        "topic_difficulty": "Medium",
        "question_type": "multiple-choice",
        "subfield": "Clinical Radiology",
        **changes,
    }


def test_choices_open_questions_and_several_pictures(tmp_path: Path) -> None:
    home = tmp_path / "mmmu"
    rows = [
        row(tmp_path, 1),
        row(tmp_path, 2, image_2=hub_image(tmp_path, 9), options="['<image 1>', '<image 2>']", answer="A"),
        row(tmp_path, 3, question_type="open", options="[]", answer="['8', 'eight']"),
    ]
    parquet(home / "Clinical_Medicine" / "validation-00000-of-00001.parquet", rows)
    parquet(home / "Clinical_Medicine" / "dev-00000-of-00001.parquet", [row(tmp_path, 4, id="dev_1")])
    records, aside, fetched = fetch("mmmu-med", tmp_path / "out", **{"from": str(home)})
    assert aside == []
    first, second, third = records["test.jsonl"]
    assert (first.answer, options_of(first)[1]) == ("Crohn's disease", "Crohn's disease")
    assert first.turns[0].text == "<image>\nWhich finding does <image 1> show?"
    assert (len(second.images), second.turns[0].text.count("<image>\n"), second.answer) == (2, 2, "<image 1>")
    assert (third.answer, options_of(third), third.tags["answer_type"]) == ("8", (), "OPEN")
    assert [r.id for r in records["train.jsonl"]] == ["mmmu-med-dev_1"]
    assert "Pharmacy" in fetched.remarks[0]


def test_bad_rows(tmp_path: Path) -> None:
    home = tmp_path / "mmmu"
    rows = [
        row(tmp_path, 1),
        row(tmp_path, 2, answer="D"),
        row(tmp_path, 3, options="__import__('os')"),
        row(tmp_path, 4, answer="?"),
        row(tmp_path, 5, question="Compare <image 1> and <image 2>."),
        row(tmp_path, 6, id="validation_Clinical_Medicine_1"),
    ]
    parquet(home / "Clinical_Medicine" / "validation-0.parquet", rows)
    records, aside, _ = fetch("mmmu-med", tmp_path / "out", **{"from": str(home)})
    assert [(line, field) for _, line, field in told(aside)] == [
        (2, "answer"), (3, "options"), (4, "answer"), (5, "image_2"), (6, "id"),
    ]  # fmt: skip
    assert len(records["test.jsonl"]) == 1
