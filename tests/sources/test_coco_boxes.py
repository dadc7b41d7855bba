"""COCO annotation files.

Layout: cocodataset.org/#format-data, "Object Detection": `bbox` is [x, y, width, height] in pixels, counted from 0.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osler.errors import RecordError, SourceError
from tests.sources.box_pictures import corners, fetch, labels, picture


def coco(folder: Path, annotations, images=None, categories=None) -> Path:
    picture(folder / "a.png")
    picture(folder / "b.png")
    content = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 100, "height": 80},
            {"id": "2", "file_name": "b.png", "width": 100, "height": 80},
        ]
        if images is None
        else images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "nodule"}] if categories is None else categories,
    }
    path = folder / "boxes.json"
    path.write_text(json.dumps(content))
    return path


def box(image_id=1, bbox=(10, 20, 30, 40), category_id=7, **more):
    return {"id": 1, "image_id": image_id, "category_id": category_id, "bbox": list(bbox), **more}


def test_width_and_height_become_corners_and_pictures_without_boxes_stay(tmp_path: Path) -> None:
    path = coco(tmp_path, [box(), box(bbox=(0, 0, 100, 80))])
    records, aside, fetched = fetch("coco-boxes", path, tmp_path / "out", split="val", licence="CC0-1.0", source="toy")
    first, second = records["dev.jsonl"]
    assert corners(first) == [(10, 20, 40, 60), (0, 0, 100, 80)]
    assert labels(first) == ["nodule", "nodule"]
    assert second.regions == ()
    assert (first.provenance.source, first.provenance.licence, first.provenance.split) == ("toy", "CC0-1.0", "dev")
    assert aside == []
    assert "2 boxes on 1 pictures (nodule 2); 1 pictures without" in fetched.remarks[0]


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (box(bbox=(90, 0, 20, 20)), "box", "outside its image"),
        (box(bbox=(5, 5, 0, 9)), "box", "has no area"),
        (box(bbox=(5, 5, 9)), "annotations.bbox", "want [x, y, width, height]"),
        (box(bbox=("5", 5, 9, 9)), "annotations.bbox", "want [x, y, width, height]"),
        (box(category_id=9), "annotations.category_id", "9 is no category"),
        (box(iscrowd=1), "annotations.iscrowd", "crowd"),
        (box(image_id=99), "annotations.image_id", "no image in the file"),
        ("text", "annotations.image_id", "no image in the file"),
    ],
)
def test_a_bad_annotation_is_set_aside_with_its_position(tmp_path: Path, bad, field, reason) -> None:
    records, aside, _ = fetch("coco-boxes", coco(tmp_path, [box(), bad]), tmp_path / "out")
    assert len(records["records.jsonl"][0].regions) == 1
    assert [(row["file"], row["line"], row["field"]) for row in aside] == [("boxes.json", 2, field)]
    assert reason in aside[0]["reason"]
    if isinstance(bad, dict) and bad["image_id"] == 1:
        assert records["records.jsonl"][0].provenance.notes == {"boxes_set_aside": 1}


def test_a_picture_whose_only_annotation_is_bad_is_no_negative(tmp_path: Path) -> None:
    records, aside, _ = fetch("coco-boxes", coco(tmp_path, [box(category_id=9)]), tmp_path / "out")
    assert [record.images[0].path for record in records["records.jsonl"]] == ["b.png"]
    assert len(aside) == 2


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"id": 1, "file_name": "b.png"}, "is already that of image 1"),
        ({"id": 3}, "want the name of a file"),
        ({"file_name": "b.png"}, "want an object with an id"),
        ({"id": 3, "file_name": "none.png"}, "no such file"),
        ({"id": 3, "file_name": "../a.png"}, "climbs out"),
        ({"id": 3, "file_name": "b.png", "width": 50, "height": 40}, "made on 50 x 40"),
    ],
)
def test_a_bad_image_is_set_aside(tmp_path: Path, image, reason) -> None:
    path = coco(tmp_path, [box()], images=[{"id": 1, "file_name": "a.png"}, image])
    records, aside, _ = fetch("coco-boxes", path, tmp_path / "out")
    assert len(records["records.jsonl"]) == 1
    assert aside[0]["line"] == 2
    assert reason in aside[0]["reason"]


def test_a_file_that_is_no_coco_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(RecordError, match="holds a list"):
        fetch("coco-boxes", tmp_path / "a.json", tmp_path / "out")
    (tmp_path / "a.json").write_text('{"images": []}')
    with pytest.raises(RecordError, match="annotations: want a list"):
        fetch("coco-boxes", tmp_path / "a.json", tmp_path / "out")
    with pytest.raises(SourceError, match="no usable picture"):
        fetch("coco-boxes", coco(tmp_path, [], images=[]), tmp_path / "out")
