"""PASCAL VOC folders.

Layout: the development kit documentation of VOC 2012 (host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html,
sections on annotation and image sets): Annotations, ImageSets/Main, JPEGImages; boxes count from 1 and are inclusive.
BCCD (github.com/Shenggan/BCCD_Dataset, MIT) has this layout.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from osler.errors import SourceError
from osler.record_files import check_images, read_records
from osler.sources import get
from osler.sources.pascal_voc import read


def voc(folder: Path, name: str, *objects: str, size=(64, 48), stated=None) -> None:
    (folder / "JPEGImages").mkdir(parents=True, exist_ok=True)
    (folder / "Annotations").mkdir(exist_ok=True)
    Image.new("RGB", size).save(folder / "JPEGImages" / f"{name}.jpg")
    width, height = stated or size
    (folder / "Annotations" / f"{name}.xml").write_text(
        f"<annotation>\n<filename>{name}.jpg</filename>\n"
        f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
        + "\n".join(objects)
        + "\n</annotation>\n"
    )


def thing(label, xmin, ymin, xmax, ymax) -> str:
    return (
        f"<object><name>{label}</name><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
    )


def lists(folder: Path, **names: str) -> None:
    (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    for split, text in names.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(text)


def boxes(out):
    return [region.box.xyxy() for record in out.records for region in record.regions]


def test_pixels_are_counted_from_one_and_the_last_is_included(tmp_path: Path) -> None:
    voc(tmp_path, "a", thing("cell", 1, 1, 64, 48), thing("cell", 10, 11, 20, 21))
    assert boxes(read(tmp_path, tmp_path / "JPEGImages")) == [(0, 0, 64, 48), (9, 10, 20, 21)]
    assert boxes(read(tmp_path, tmp_path / "JPEGImages", origin=0)) == [(1, 1, 64, 48), (10, 11, 20, 21)]


def test_splits_come_from_the_lists_and_a_name_in_two_is_told(tmp_path: Path) -> None:
    for name in "abcd":
        voc(tmp_path, name, thing("cell", 5, 5, 20, 20))
    lists(tmp_path, train="a\nb\n", val="b 1\nc -1\n", test="", trainval="a\nb\nc\n")
    out = read(tmp_path, tmp_path / "JPEGImages")
    assert [record.provenance.split for record in out.records] == ["train", "dev", "dev", None]
    assert [(a.file, a.line, a.reason) for a in out.aside] == [
        ("train.txt", 2, "'b' already stands in the list of 'val'")
    ]


def test_without_train_and_val_the_common_list_is_for_training(tmp_path: Path) -> None:
    voc(tmp_path, "a", thing("cell", 5, 5, 20, 20))
    lists(tmp_path, trainval="a\nghost\n")
    out = read(tmp_path, tmp_path / "JPEGImages")
    assert out.records[0].provenance.split == "train"
    assert [(a.line, a.reason) for a in out.aside] == [(2, "'ghost' has no annotation file")]


@pytest.mark.parametrize(
    ("bad", "line", "field", "reason"),
    [
        (thing("cell", 60, 5, 65, 20), 5, "box", "outside its image"),
        (thing("cell", 0, 5, 20, 20), 5, "box", "outside its image"),
        (thing("cell", 20, 5, 10, 20), 5, "box", "has no area"),
        (thing("cell", 30, 30, 30, 30), 5, "box", "1 x 1 pixels, a click"),
        (thing("cell", "x", 5, 10, 20), 5, "xmin", "want a number of pixels"),
        (thing("cell", "nan", 5, 10, 20), 5, "xmin", "want a number of pixels"),
        (thing("", 4, 5, 10, 20), 5, "name", "is empty"),
        ("<object><name>cell</name></object>", 5, "bndbox", "has 0 elements <bndbox>"),
    ],
)
def test_a_broken_box_is_set_aside_with_line_and_reason(tmp_path: Path, bad, line, field, reason) -> None:
    voc(tmp_path, "a", thing("cell", 5, 5, 20, 20), bad)
    out = read(tmp_path, tmp_path / "JPEGImages")
    (record,), (aside,) = out.records, out.aside
    assert len(record.regions) == 1
    assert record.provenance.notes == {"boxes_set_aside": 1}
    assert (aside.file, aside.line, aside.field) == ("a.xml", line, field)
    assert reason in aside.reason


def test_a_picture_that_loses_all_boxes_is_left_out_and_one_without_objects_stays(tmp_path: Path) -> None:
    voc(tmp_path, "lost", thing("cell", 60, 5, 65, 20))
    voc(tmp_path, "unreadable", thing("cell", "x", 5, 65, 20))
    voc(tmp_path, "normal")
    out = read(tmp_path, tmp_path / "JPEGImages")
    assert [record.images[0].path for record in out.records] == ["normal.jpg"]
    assert sum("so the picture is left out" in a.reason for a in out.aside) == 2


def test_a_missing_picture_another_size_and_a_path_that_climbs_out(tmp_path: Path) -> None:
    voc(tmp_path, "ok", thing("cell", 5, 5, 20, 20))
    voc(tmp_path, "gone", thing("cell", 5, 5, 20, 20))
    (tmp_path / "JPEGImages" / "gone.jpg").unlink()
    voc(tmp_path, "other", thing("cell", 5, 5, 20, 20), stated=(640, 480))
    voc(tmp_path, "zero", thing("cell", 5, 5, 20, 20), stated=(0, 0))
    (tmp_path / "Annotations" / "out.xml").write_text("<annotation><filename>../../x.jpg</filename></annotation>")
    out = read(tmp_path, tmp_path / "JPEGImages")
    assert [record.images[0].path for record in out.records] == ["ok.jpg", "zero.jpg"]
    reasons = {a.file: a.reason for a in out.aside}
    assert "no such file" in reasons["gone.xml"]
    assert "64 x 48 pixels, its annotation was made on 640 x 480" in reasons["other.xml"]
    assert "climbs out" in reasons["out.xml"]


def test_two_files_for_one_picture(tmp_path: Path) -> None:
    voc(tmp_path, "a", thing("cell", 5, 5, 20, 20))
    text = (tmp_path / "Annotations" / "a.xml").read_text()
    (tmp_path / "Annotations" / "b.xml").write_text(text)
    out = read(tmp_path, tmp_path / "JPEGImages")
    assert len(out.records) == 1
    assert "earlier entry" in out.aside[0].reason


def test_the_source_writes_splits_and_rejects(tmp_path: Path) -> None:
    voc(tmp_path / "in", "a", thing("cell", 5, 5, 20, 20), thing("cell", 1, 1, 99, 9))
    voc(tmp_path / "in", "b", thing("nucleus", 5, 5, 20, 20))
    lists(tmp_path / "in", train="a\n", test="b\n")
    fetched = get("pascal-voc").get(tmp_path / "out", **{"from": str(tmp_path / "in"), "licence": "MIT"})
    assert dict(fetched.files) == {"train.jsonl": 1, "test.jsonl": 1}
    assert dict(fetched.rejects) == {"boxes.rejects.jsonl": 1}
    row = json.loads((tmp_path / "out" / "boxes.rejects.jsonl").read_text())
    assert set(row) == {"file", "line", "field", "reason"}
    assert fetched.remarks[0] == "2 boxes on 2 pictures (cell 1, nucleus 1); 0 pictures without."
    records = read_records(tmp_path / "out" / "train.jsonl")
    assert records[0].provenance.licence == "MIT"
    assert check_images(records, fetched.images).problems == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from": "nowhere"}, "nowhere: not there"),
        ({"origin": "2"}, "origin='2'"),
        ({"min_side": "few"}, "min_side='few'"),
        ({"images": "nowhere"}, "nowhere: no such image folder"),
    ],
)
def test_bad_options(tmp_path: Path, options, message) -> None:
    voc(tmp_path / "in", "a", thing("cell", 5, 5, 20, 20))
    with pytest.raises(SourceError, match=message):
        get("pascal-voc").get(tmp_path / "out", **{"from": str(tmp_path / "in"), **options})


def test_bccd(shared_data: Path) -> None:
    """The published counts of BCCD are 364 pictures, 4,888 objects; two of them are clicks without extent."""
    folder = shared_data / "bccd" / "BCCD"
    out = read(folder, folder / "JPEGImages")
    assert Counter(r.label for record in out.records for r in record.regions) == {
        "RBC": 4153,
        "WBC": 372,
        "Platelets": 361,
    }
    assert Counter(record.provenance.split for record in out.records) == {"train": 205, "dev": 87, "test": 72}
    assert [(a.file, a.line) for a in out.aside] == [("BloodImage_00338.xml", 163), ("BloodImage_00343.xml", 55)]
    every = read(folder, folder / "JPEGImages", min_side=0)
    assert len(boxes(every)) == 4888
    assert min(x1 for x1, *_ in boxes(every)) == 0
    assert max(x2 for _, _, x2, _ in boxes(every)) == 640
