"""Kvasir-SEG.

Layout: datasets.simula.no/kvasir-seg and github.com/DebeshJha/Kvasir-SEG: images/, masks/ (both JPEG, same names) and
kavsir_bboxes.json, whose published name is misspelt.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osler.errors import SourceError
from tests.sources.box_pictures import corners, fetch, picture


def layout(folder: Path, entries) -> Path:
    for name, boxes in entries.items():
        picture(folder / "images" / f"{name}.jpg", mode="RGB")
        mask = np.zeros((80, 100, 3), dtype=np.uint8)
        for x1, y1, x2, y2 in boxes:
            mask[y1:y2, x1:x2] = 255
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / "masks" / f"{name}.jpg", quality=95)
    content = {
        name: {
            "height": 80,
            "width": 100,
            "bbox": [{"label": "polyp", "xmin": a, "ymin": b, "xmax": c, "ymax": d} for a, b, c, d in boxes],
        }
        for name, boxes in entries.items()
    }
    (folder / "kavsir_bboxes.json").write_text(json.dumps(content))
    return folder


def test_boxes_of_the_file_and_of_the_masks_agree(tmp_path: Path) -> None:
    home = layout(tmp_path, {"a": [(8, 8, 40, 32), (56, 40, 80, 72)], "b": [(16, 16, 64, 64)]})
    by_file, aside, _ = fetch("kvasir-seg", home, tmp_path / "out")
    assert aside == []
    assert [r.images[0].path for r in by_file["records.jsonl"]] == ["images/a.jpg", "images/b.jpg"]
    by_mask, _, _ = fetch("kvasir-seg", home, tmp_path / "masks_out", boxes="masks")
    for one, other in zip(by_file["records.jsonl"], by_mask["records.jsonl"], strict=True):
        assert one.id == other.id
        assert sorted(corners(one)) == sorted(corners(other))


def test_bad_entries(tmp_path: Path) -> None:
    home = layout(tmp_path, {"a": [(8, 8, 40, 32)], "b": [(8, 8, 400, 32)], "c": [], "d": [(8, 8, 40, 32)]})
    (home / "images" / "d.jpg").unlink()
    content = json.loads((home / "kavsir_bboxes.json").read_text())
    content["e"] = {"height": 80, "width": 100, "bbox": [{"label": "polyp", "xmin": 1}]}
    (home / "kavsir_bboxes.json").write_text(json.dumps(content))
    records, aside, _ = fetch("kvasir-seg", home, tmp_path / "out")
    assert len(records["records.jsonl"]) == 1
    assert {(row["line"], row["field"]) for row in aside} == {(2, "box"), (3, "bbox"), (4, "image"), (5, "ymin")}
    _, aside, _ = fetch("kvasir-seg", home, tmp_path / "out2", boxes="masks")
    assert {row["file"] for row in aside} == {"c.jpg", "d.jpg"}


def test_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="so spelt"):
        fetch("kvasir-seg", tmp_path, tmp_path / "out")
