"""The box list of the NIH chest X-rays.

Layout: BBox_List_2017.csv at nihcc.app.box.com/v/ChestXray-NIHCC, described in README_ChestXray.pdf there. Its first
line is `Image Index,Finding Label,Bbox [x,y,w,h],,,`, and each row ends with three empty cells.
"""

from __future__ import annotations

from pathlib import Path

from osler.instruct.abnormality import abnormality_records
from tests.sources.box_pictures import corners, fetch, labels, picture

HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"


def test_boxes_of_a_picture_become_one_record(tmp_path: Path) -> None:
    for name in ("00000001_000.png", "00000001_001.png", "00000002_000.png"):
        picture(tmp_path / "images" / name, 1024, 1024)
    table = tmp_path / "BBox_List_2017.csv"
    table.write_text(
        HEADER + "00000001_000.png,Atelectasis,100.5,200.25,50,60.5,,,\n"
        "00000001_001.png,Mass,1,2,3,4,,,\n"
        "00000001_000.png,Effusion,0,0,1024,1024,,,\n"
        "00000002_000.png,Hernia,1,2,3,4,,,\n"
        "00000002_000.png,Nodule,1000,2,30,4,,,\n"
        "00000003_000.png,Nodule,1,2,3,4,,,\n"
        "00000001_001.png,Mass,1,2,,4,,,\n"
    )
    records, aside, _ = fetch("nih-boxes", table, tmp_path / "out")
    first, second = records["records.jsonl"]
    assert corners(first) == [(100.5, 200.25, 150.5, 260.75), (0, 0, 1024, 1024)]
    assert labels(first) == ["Atelectasis", "Effusion"]
    assert first.subject == second.subject
    assert "00000001" not in first.subject
    assert second.provenance.notes == {"boxes_set_aside": 1}
    assert [(row["line"], row["field"]) for row in aside] == [
        (8, "w"),
        (5, "label"),
        (6, "box"),
        (5, "box"),
        (7, "image"),
    ]
    kinds = [r.answer for r in abnormality_records(records["records.jsonl"], classes=["Mass"])]
    assert len(kinds) == 1, "a picture with an effusion is not normal because no mass is boxed"
