"""VinDr-CXR.

Layout: train.csv of the VinBigData competition (kaggle.com/c/vinbigdata-chest-xray-abnormalities-detection/data) and
Nguyen et al., Scientific Data 9:429: a row for each box and reader; "No finding" rows have empty boxes.
"""

from __future__ import annotations

from pathlib import Path

from osler.instruct.abnormality import abnormality_records
from tests.sources.box_pictures import corners, fetch, labels, picture

TABLE = """image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max
aa,No finding,14,R1,,,,
aa,No finding,14,R2,,,,
aa,No finding,14,R3,,,,
bb,Nodule/Mass,8,R1,10,20,30,40
bb,Cardiomegaly,3,R1,20,30,90,70
bb,No finding,14,R2,,,,
bb,Nodule/Mass,8,R3,11,21,31,41
"""


def layout(folder: Path, more: str = "") -> Path:
    picture(folder / "train" / "aa.png")
    picture(folder / "train" / "bb.jpg")
    (folder / "train.csv").write_text(TABLE + more)
    return folder / "train.csv"


def test_each_reader_has_a_record(tmp_path: Path) -> None:
    records, aside, _ = fetch("vindr-cxr", layout(tmp_path), tmp_path / "out")
    found = records["train.jsonl"]
    assert aside == []
    assert [(r.images[0].path, r.tags["reader"], len(r.regions)) for r in found] == [
        ("aa.png", "R1", 0),
        ("aa.png", "R2", 0),
        ("aa.png", "R3", 0),
        ("bb.jpg", "R1", 2),
        ("bb.jpg", "R2", 0),
        ("bb.jpg", "R3", 1),
    ]
    assert corners(found[3]) == [(10, 20, 30, 40), (20, 30, 90, 70)]
    assert len({r.study for r in found}) == 2
    skipped: list[str] = []
    made = list(abnormality_records(found, on_skip=lambda r, why: skipped.append(why)))
    assert [(r.images[0].path, r.tags["reader"]) for r in made] == [
        ("aa.png", "R1"),
        ("bb.jpg", "R1"),
        ("bb.jpg", "R3"),
    ]
    assert len(skipped) == 3


def test_readers_together(tmp_path: Path) -> None:
    records, aside, _ = fetch("vindr-cxr", layout(tmp_path), tmp_path / "out", readers="together")
    (found,) = records["train.jsonl"]
    assert found.images[0].path == "aa.png"
    assert "a reader saw nothing, and a box is there too" in aside[0]["reason"]


def test_bad_rows(tmp_path: Path) -> None:
    more = (
        "bb,No finding,14,R4,1,2,3,4\n"
        "bb,Nodule/Mass,8,R5,10,20,300,40\n"
        "bb,Nodule/Mass,8,R6,,,,\n"
        "cc,No finding,14,R1,,,,\n"
    )
    records, aside, _ = fetch("vindr-cxr", layout(tmp_path, more), tmp_path / "out")
    assert len(records["train.jsonl"]) == 6
    assert sorted({(row["line"], row["field"]) for row in aside}) == [
        (9, "class_name"),
        (10, "box"),
        (11, "box"),
        (11, "x_min"),
        (12, "image"),
    ]
    assert labels(records["train.jsonl"][3]) == ["Nodule/Mass", "Cardiomegaly"]
