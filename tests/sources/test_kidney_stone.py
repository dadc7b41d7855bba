"""Kidney stones in YOLO's text layout.

Layout: docs.ultralytics.com/datasets/detect ("Ultralytics YOLO format"): a text file for each picture, a line for each
box with class, centre and size as shares of the picture. That the published copies look like this is not verified.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.sources import get
from tests.sources.box_pictures import corners, fetch, labels, picture


def layout(folder: Path, split: str, name: str, text: str | None) -> None:
    picture(folder / split / "images" / f"{name}.jpg")
    (folder / split / "labels").mkdir(exist_ok=True)
    if text is not None:
        (folder / split / "labels" / f"{name}.txt").write_text(text)


def test_shares_become_pixels_and_an_empty_file_means_none(tmp_path: Path) -> None:
    layout(tmp_path, "train", "a.rf.11", "0 0.5 0.5 0.2 0.25\n0 0.1 0.1 0.2 0.2\n")
    layout(tmp_path, "train", "a.rf.22", "")
    layout(tmp_path, "valid", "b", "0 0.5 0.5 1 1\n")
    records, aside, fetched = fetch("kidney-stone", tmp_path, tmp_path / "out", licence="CC-BY-4.0")
    first, second = records["train.jsonl"]
    assert corners(first) == [pytest.approx((40, 30, 60, 50)), pytest.approx((0, 0, 20, 16))]
    assert labels(first) == ["kidney stone"] * 2
    assert second.regions == ()
    assert first.study == second.study
    assert corners(records["dev.jsonl"][0]) == [(0, 0, 100, 80)]
    assert aside == []
    assert "not verified" in fetched.remarks[1]


def test_bad_lines_and_a_missing_text_file(tmp_path: Path) -> None:
    layout(
        tmp_path,
        "train",
        "a",
        "0 0.5 0.5 0.2 0.25\n1 0.5 0.5 0.2 0.25\n0 0.5 0.5 0.2\n0 .9 .9 .4 .4\n0 1 2 3 4 5 6 7 8\n",
    )
    layout(tmp_path, "train", "b", None)
    records, aside, _ = fetch("kidney-stone", tmp_path, tmp_path / "out")
    assert records["train.jsonl"][0].provenance.notes == {"boxes_set_aside": 4}
    found = {(row["file"], row["line"]): row["reason"] for row in aside}
    assert "names for 1 classes" in found["a.txt", 2]
    assert "has 4 numbers, want 5" in found["a.txt", 3]
    assert "outside its image" in found["a.txt", 4]
    assert "a polygon is no box" in found["a.txt", 5]
    assert "never looked at" in found["b.txt", 1]


def test_it_says_that_its_layout_is_not_verified(tmp_path: Path) -> None:
    assert "layout not verified" in get("kidney-stone").state()
    with pytest.raises(SourceError, match="holds no pictures"):
        fetch("kidney-stone", tmp_path, tmp_path / "out")
