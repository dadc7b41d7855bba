"""SLAKE.

Keys: https://huggingface.co/datasets/BoKelvin/SLAKE (train.json, validation.json, test.json, imgs.zip) and
https://huggingface.co/datasets/Voxel51/SLAKE (source, mask and detection.json of a picture's folder). The row is one of
the published ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osler.errors import SourceError
from tests.sources.published import fetch, picture, rows_file, told, without


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "img_id": 1,
        "img_name": "xmlab1/source.jpg",
        "question": "What modality is used to take this image?",
        "answer": "MRI",
        "q_lang": "en",
        "location": "Abdomen",
        "modality": "MRI",
        "answer_type": "OPEN",
        "base_type": "vqa",
        "content_type": "Modality",
        "triple": ["vhead", "_", "_"],
        "qid": number,
        **changes,
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "slake"
    picture(folder / "imgs" / "xmlab1" / "source.jpg", 100, 80)
    picture(folder / "imgs" / "xmlab1" / "mask.png", 100, 80)
    rows_file(folder / "imgs" / "xmlab1" / "detection.json", [{"Liver": [10.0, 20.0, 30.0, 40.0]}])
    rows_file(folder / "test.json", [row(0), row(1, q_lang="zh", question="图中有什么?", answer="肝")])
    rows_file(folder / "train.json", [row(2, base_type="kvqa", answer_type="CLOSED", answer="Yes")])
    return folder


def test_questions_of_both_languages_with_boxes_and_masks(home: Path) -> None:
    records, aside, fetched = fetch("slake", home)
    assert (aside, sorted(records)) == ([], ["test.jsonl", "train.jsonl"])
    first, second = records["test.jsonl"]
    assert first.id == "slake-0"
    assert first.turns[0].text == "<image>\nWhat modality is used to take this image?"
    assert first.tags == {
        "question_type": "Modality", "answer_type": "OPEN", "language": "en", "organ": "Abdomen", "modality": "MRI",
        "knowledge": "vqa",
    }  # fmt: skip
    (region,) = first.regions
    assert (region.label, region.box.xyxy(), region.mask) == ("Liver", (10, 20, 40, 60), "imgs/xmlab1/mask.png")
    assert (second.tags["language"], second.answer) == ("zh", "肝")
    assert first.provenance.notes["triple"] == "vhead | _ | _"
    assert fetched.images is None
    assert records["train.jsonl"][0].tags["knowledge"] == "kvqa"


def test_how_boxes_are_read_is_chosen_and_a_wrong_choice_shows(home: Path) -> None:
    records, aside, _ = fetch("slake", home, boxes="xyxy")
    assert records["test.jsonl"][0].regions[0].box.xyxy() == (10, 20, 30, 40)
    rows_file(home / "imgs" / "xmlab1" / "detection.json", [{"Liver": [60, 20, 90, 70]}, {"Lung": [1, 2, "3", 4]}])
    records, aside, fetched = fetch("slake", home)
    assert told(aside) == [("xmlab1-detection.json", 1, "Liver"), ("xmlab1-detection.json", 2, "Lung")]
    assert records["test.jsonl"][0].regions == ()
    assert any("1 boxes do not lie" in remark for remark in fetched.remarks)
    assert fetch("slake", home, boxes="none")[1] == []


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (without(row(5), "question"), "question"),
        (row(5, answer=" "), "answer"),
        (row(5, q_lang="fr"), "q_lang"),
        (row(5, answer_type="MAYBE"), "answer_type"),
        (row(5, img_name="xmlab9/source.jpg"), "img_name"),
        (row(5, img_name="../../x.jpg"), "img_name"),
        (row(5, qid=None), "qid"),
        (row(0), "qid"),
        (row(5, content_type=7), "content_type"),
        ("text", None),
    ],
)
def test_a_bad_row_is_set_aside_by_file_row_and_field(bad: Any, field: str | None, home: Path) -> None:
    rows_file(home / "test.json", [row(0), bad])
    records, aside, _ = fetch("slake", home)
    assert told(aside) == [("test.json", 2, field)]
    assert len(records["test.jsonl"]) == 1


def test_without_a_copy_the_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"Home: https://huggingface\.co/datasets/BoKelvin/SLAKE.*no account.*download=yes"
    ):
        fetch("slake", tmp_path / "nothing")
    with pytest.raises(SourceError, match=r"download='maybe'"):
        fetch("slake", tmp_path / "nothing", download="maybe")
