"""MIMIC-CXR. Folders: https://physionet.org/content/mimic-cxr/ (files/p10/p10000032/s50414267.txt); table of splits:
https://physionet.org/content/mimic-cxr-jpg/ (dicom_id, study_id, subject_id, split)."""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.sources.report_text import sections
from tests.sources.published import fetch, picture, rows_file, table, told

REPORT = "\n".join(
    [
        "                                 FINAL REPORT",
        " EXAMINATION:  CHEST (PA AND LAT)",
        " FINDINGS: ",
        " ",
        " There is no focal consolidation.  The heart",
        " is normal.",
        " IMPRESSION: ",
        " ",
        " No acute process.",
    ]
)


def test_sections() -> None:
    found = sections(REPORT)
    assert found["findings"] == "There is no focal consolidation. The heart is normal."
    assert found["impression"] == "No acute process."
    assert sections("no headings, only Words: here") == {}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rows = []
    for study, text in (("50414267", REPORT), ("53189527", "IMPRESSION: Normal."), ("53911762", REPORT)):
        report = tmp_path / "files" / "p10" / "p10000032" / f"s{study}.txt"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(text)
        for name in ("02aa804e", "174413ec"):
            rows.append({"dicom_id": f"{name}-{study}", "study_id": study, "subject_id": "10000032", "split": "test"})
    picture(tmp_path / "files" / "p10" / "p10000032" / "s50414267" / "02aa804e-50414267.jpg")
    rows.append({"dicom_id": "x", "study_id": "1", "subject_id": "10000764", "split": "train"})
    rows.append({"dicom_id": "y", "study_id": "2", "subject_id": "10000764", "split": "holdout"})
    table(tmp_path / "mimic-cxr-2.0.0-split.csv", rows)
    return tmp_path


def test_one_record_a_study_with_the_pictures_that_are_there(home: Path) -> None:
    records, aside, _ = fetch("mimic-reports", home)
    (record,) = records["test.jsonl"]
    assert record.answer == "There is no focal consolidation. The heart is normal."
    assert [image.path for image in record.images] == ["files/p10/p10000032/s50414267/02aa804e-50414267.jpg"]
    assert record.tags["dataset"] == "mimic-cxr"
    assert "10000032" not in (record.subject or "")
    assert "50414267" not in record.id
    assert [(line, field) for _, line, field in told(aside)] == [(9, "split"), (4, "study_id"), (6, "dicom_id")]


def test_what_is_not_there(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="splits='dve'"):
        fetch("mimic-reports", home, splits="dve")
    with pytest.raises(SourceError, match="signed agreement"):
        fetch("mimic-reports", tmp_path / "empty")
    with pytest.raises(SourceError, match="no usable row; the first reason"):
        fetch("mimic-reports", home, splits="dev")


def test_annotation_json_keeps_patients_apart(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "p10" / "a.jpg")
    entry = {"id": "a", "study_id": 5, "subject_id": 10000032, "image_path": ["p10/a.jpg"], "report": "clear ."}
    rows_file(tmp_path / "annotation.json", {"train": [entry], "val": [], "test": [{**entry, "id": "b"}]})
    records, aside, _ = fetch("mimic-reports", tmp_path)
    assert aside == []
    assert records["train.jsonl"][0].subject == records["test.jsonl"][0].subject
    assert "10000032" not in records["train.jsonl"][0].model_dump_json()
