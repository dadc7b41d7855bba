"""Med-GRIT. Keys: https://github.com/overloadedHenry/ClinKD, BiRD_data/transfer2sharegpt.py (id, conversations)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sources.published import fetch, picture, rows_file, told


def test_both_forms_of_conversations(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "ct_abc_1.png", 200, 100)
    question, answer = "<img>ct_abc_1.png</img>Where is the liver?", "<box>(100,200),(300,400)</box>"
    rows_file(
        tmp_path / "Test_VG.json", [{"id": "ct_abc_1", "conversations": [[question, answer], ["And now?", answer]]}]
    )
    turns = [
        {"from": "user", "value": "What is <box_start>(1,2),(3,4)<box_end>?"},
        {"from": "assistant", "value": "Liver"},
    ]
    rows_file(tmp_path / "Test_RO.json", [{"id": "ct_abc_1", "conversations": turns}])
    records, aside, _ = fetch("med-grit", tmp_path)
    assert aside == []
    first, second, third = records["test.jsonl"]
    assert [r.id for r in (first, second, third)] == ["med-grit-vg-1-1", "med-grit-vg-1-2", "med-grit-roc-1-1"]
    assert first.turns[0].text == "<image>\nWhere is the liver?"
    assert first.regions[0].box.xyxy() == (20, 20, 60, 40)
    assert (first.tags["task"], first.tags["modality"]) == ("vg", "ct")
    assert (third.question, third.answer) == ("What is <box>(1,2),(3,4)</box>?", "Liver")
    assert third.regions == ()


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"id": "us_1", "conversations": [["q", "a"]]}, "id"),
        ({"id": "ct_9", "conversations": [["q", "a"]]}, "id"),
        ({"id": "ct_1", "conversations": []}, "conversations"),
        ({"id": "ct_1", "conversations": [["q"]]}, "conversations"),
        ({"id": "ct_1", "conversations": [["q", "no box"]]}, "conversations"),
        ({"id": "ct_1", "conversations": [{"from": "user", "value": "q"}]}, "conversations"),
        ([], None),
    ],
)
def test_bad_items(item: Any, field: str | None, tmp_path: Path) -> None:
    picture(tmp_path / "ct_1.png")
    rows_file(tmp_path / "Test_VG.json", [{"id": "ct_1", "conversations": [["q", "<box>(1,1),(9,9)</box>"]]}, item])
    _, aside, _ = fetch("med-grit", tmp_path)
    assert told(aside) == [("Test_VG.json", 2, field)]
