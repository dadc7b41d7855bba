"""IU X-ray. XML as https://openi.nlm.nih.gov/faq publishes it (NLMCXR_reports.tgz); annotation.json:
https://github.com/cuhksz-nlp/R2Gen/blob/main/modules/datasets.py (id, image_path, report, by split)."""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.sources.iu_xray import read_report
from tests.sources.published import fetch, picture, rows_file, told


def xml(number: int, findings: str, pictures: list[str]) -> str:
    images = "".join(f'<parentImage id="{name}"><figureId>F1</figureId></parentImage>' for name in pictures)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><eCitation><uId id="CXR{number}"/><MedlineCitation Status="x">'
        '<Article PubModel="Electronic"><Abstract><AbstractText Label="COMPARISON">None.</AbstractText>'
        f'<AbstractText Label="FINDINGS">{findings}</AbstractText>'
        '<AbstractText Label="IMPRESSION">Normal chest x-XXXX.</AbstractText></Abstract></Article></MedlineCitation>'
        f"<MeSH><major>Cardiomegaly/mild</major><major>Opacity/lung</major></MeSH>{images}</eCitation>"
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "ecgen-radiology"
    folder.mkdir()
    for number in range(1, 13):
        names = [f"CXR{number}_1_IM-0001-3001", f"CXR{number}_1_IM-0001-4001"]
        (folder / f"{number}.xml").write_text(xml(number, f"The heart\n   is {number}.", names))
        for name in names:
            picture(tmp_path / "NLMCXR_png" / f"{name}.png", seed=number)
    return tmp_path


def test_reports_with_two_pictures_split_by_their_hash(home: Path) -> None:
    records, aside, _ = fetch("iu-xray", home)
    assert aside == []
    everything = {record.id: record for part in records.values() for record in part}
    assert len(everything) == 12
    record = everything["iu-xray-CXR2"]
    assert record.answer == "The heart is 2."
    assert [image.path for image in record.images] == [
        "NLMCXR_png/CXR2_1_IM-0001-3001.png", "NLMCXR_png/CXR2_1_IM-0001-4001.png",
    ]  # fmt: skip
    assert record.tags["mesh"] == "Cardiomegaly/mild; Opacity/lung"
    again, _, _ = fetch("iu-xray", home)
    assert {name: [r.id for r in part] for name, part in again.items()} == {
        name: [r.id for r in part] for name, part in records.items()
    }
    both, _, _ = fetch("iu-xray", home, section="both")
    one = next(r for part in both.values() for r in part if r.id == "iu-xray-CXR2")
    assert one.answer == "The heart is 2. Normal chest x-XXXX."


def test_reports_that_cannot_be_used(home: Path) -> None:
    folder = home / "ecgen-radiology"
    (folder / "3.xml").write_text(xml(3, "", ["CXR3_1_IM-0001-3001"]))
    (folder / "4.xml").write_text(xml(4, "Clear.", []))
    (folder / "5.xml").write_text(xml(5, "Clear.", ["absent"]))
    (folder / "6.xml").write_text("<!DOCTYPE x><eCitation/>")
    (folder / "7.xml").write_text("<eCitation><uId/></eCitation>")
    _, aside, _ = fetch("iu-xray", home)
    assert told(aside) == [
        ("3.xml", 1, "FINDINGS"), ("4.xml", 1, "parentImage"), ("5.xml", 1, "parentImage"), ("6.xml", 1, None),
        ("7.xml", 1, "MedlineCitation"),
    ]  # fmt: skip


def test_annotation_json(tmp_path: Path) -> None:
    for name in ("0.png", "1.png"):
        picture(tmp_path / "images" / "CXR2384_IM-0942" / name)
    paths = ["CXR2384_IM-0942/0.png", "CXR2384_IM-0942/1.png"]
    entry = {"id": "CXR2384_IM-0942", "report": "The heart is normal .", "image_path": paths, "split": "test"}
    rows_file(tmp_path / "annotation.json", {"train": [], "val": [], "test": [entry, {**entry, "image_path": "x"}]})
    records, aside, _ = fetch("iu-xray", tmp_path)
    assert [r.answer for r in records["test.jsonl"]] == ["The heart is normal ."]
    assert len(records["test.jsonl"][0].images) == 2
    assert told(aside) == [("annotation.json[test]", 2, "image_path")]


def test_one_report_as_published(home: Path) -> None:
    report = read_report(home / "ecgen-radiology" / "1.xml")
    assert (report.name, report.sections["impression"]) == ("CXR1", "Normal chest x-XXXX.")
