"""DeepLesion.

Layout: DL_info.csv at nihcc.app.box.com/v/DeepLesion; Yan et al., J. Med. Imaging 5(3):036501: PNG of 16 bits with
HU + 32768, boxes "x1, y1, x2, y2" in pixels, split 1 training, 2 validation, 3 test.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osler.images import load_image
from osler.sources.deeplesion import COLUMNS
from tests.sources.box_pictures import corners, fetch, labels

ROW = {
    "File_name": "000001_01_01_109.png",
    "Patient_index": "1",
    "Study_index": "1",
    "Bounding_boxes": "20.5, 10, 60.25, 40",
    "Coarse_lesion_type": "4",
    "Possibly_noisy": "0",
    "Image_size": "64, 128",
    "DICOM_windows": "-175, 275",
    "Train_Val_Test": "2",
}


def layout(folder: Path, *rows) -> Path:
    for row in rows:
        name, _, file = row["File_name"].rpartition("_")
        path = folder / "Images_png" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        hounsfield = np.full((64, 128), 50)
        hounsfield[0, 0], hounsfield[0, 1] = -175, 275
        Image.fromarray((hounsfield + 32768).astype(np.uint16)).save(path)
    with (folder / "DL_info.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["Slice_range", *COLUMNS])
        writer.writeheader()
        writer.writerows({"Slice_range": "103, 115", **row} for row in rows)
    return folder / "DL_info.csv"


def test_lesions_of_a_slice_become_one_record_with_its_window(tmp_path: Path) -> None:
    table = layout(tmp_path, ROW, {**ROW, "Bounding_boxes": "1, 2, 3, 4", "Coarse_lesion_type": "-1"})
    records, aside, _ = fetch("deeplesion", table, tmp_path / "out")
    (record,) = records["dev.jsonl"]
    assert aside == []
    assert record.images[0].path == "000001_01_01/109.png"
    assert corners(record) == [(20.5, 10, 60.25, 40), (1, 2, 3, 4)]
    assert labels(record) == ["liver lesion", "lesion"]
    assert record.images[0].window == {"level": 50 + 32768, "width": 450}
    shown = np.asarray(
        load_image(tmp_path / "Images_png" / record.images[0].path, window=record.images[0].window).image
    )
    assert (shown[0, 0, 0], shown[0, 1, 0]) == (0, 255)
    assert 120 <= shown[5, 5, 0] <= 135


def test_patients_share_a_key(tmp_path: Path) -> None:
    other = {**ROW, "File_name": "000001_02_01_010.png", "Study_index": "2"}
    records, _, _ = fetch("deeplesion", layout(tmp_path, ROW, other), tmp_path / "out")
    a, b = records["dev.jsonl"]
    assert a.subject == b.subject
    assert a.study != b.study


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"Coarse_lesion_type": "9"}, "Coarse_lesion_type"),
        ({"Possibly_noisy": "1"}, "Possibly_noisy"),
        ({"Train_Val_Test": "0"}, "Train_Val_Test"),
        ({"Bounding_boxes": "1, 2, 3"}, "Bounding_boxes"),
        ({"Bounding_boxes": "1, 2, 3, x"}, "Bounding_boxes"),
        ({"Bounding_boxes": "-1, 2, 3, 5"}, "box"),
        ({"Image_size": "512, 512"}, "size"),
        ({"DICOM_windows": "275, -175"}, "DICOM_windows"),
    ],
)
def test_bad_rows(tmp_path: Path, change, field) -> None:
    table = layout(tmp_path, {**ROW, "File_name": "000002_01_01_001.png"}, {**ROW, **change})
    records, aside, _ = fetch("deeplesion", table, tmp_path / "out")
    assert len(records["dev.jsonl"]) == 1
    assert (aside[0]["line"], aside[0]["field"]) == (3, field)


def test_options(tmp_path: Path) -> None:
    table = layout(tmp_path, ROW, {**ROW, "Coarse_lesion_type": "-1"}, {**ROW, "Possibly_noisy": "1"})
    records, aside, _ = fetch("deeplesion", table, tmp_path / "out", unlabelled="drop", noisy="yes")
    assert len(records["dev.jsonl"][0].regions) == 2
    assert [row["line"] for row in aside] == [3]
