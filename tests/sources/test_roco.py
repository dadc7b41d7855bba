r"""ROCO. `captions.txt`: https://github.com/razorx89/roco-dataset (id, tab, caption); ROCOv2's and ImageCLEF's table:
https://doi.org/10.5281/zenodo.8333645 (ID,Caption); parquet: https://huggingface.co/datasets/eltorio/ROCOv2-radiology."""

from __future__ import annotations

from pathlib import Path

from osler.sources.roco import read_captions
from tests.sources.published import fetch, hub_image, parquet, picture, table, told


def test_roco_as_published(tmp_path: Path) -> None:
    folder = tmp_path / "test" / "radiology"
    picture(folder / "images" / "ROCO_00020.jpg")
    (folder / "captions.txt").write_text("ROCO_00020\t A scan of the pelvis.\nROCO_00027\t Another.\nno tab\n")
    records, aside, _ = fetch("roco", tmp_path)
    (record,) = records["test.jsonl"]
    assert (record.id, record.answer) == ("roco-ROCO_00020", "A scan of the pelvis.")
    assert record.images[0].path == "test/radiology/images/ROCO_00020.jpg"
    assert record.tags["dataset"] == "roco"
    assert [(line, field) for _, line, field in told(aside)] == [(2, "id"), (3, "caption")]


def test_a_table_of_imageclef(tmp_path: Path) -> None:
    picture(tmp_path / "valid_images" / "ImageCLEFmedical_1.jpg")
    rows = [{"ID": "ImageCLEFmedical_1", "Caption": "CT, axial: liver."}, {"ID": "ImageCLEFmedical_2", "Caption": ""}]
    table(tmp_path / "valid_captions.csv", rows)
    records, aside, _ = fetch("roco", tmp_path, dataset="imageclef")
    assert records["dev.jsonl"][0].tags["dataset"] == "imageclef"
    assert told(aside) == [("valid_captions.csv", 3, "Caption")]


def test_parquet_of_the_hub(tmp_path: Path) -> None:
    row = {"image": hub_image(tmp_path), "image_id": "ROCOv2_2023_test_1", "caption": "MRI.", "cui": ["C1"]}
    parquet(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet", [row, row])
    records, aside, _ = fetch("roco", tmp_path / "out", **{"from": str(tmp_path / "hub")})
    assert [r.id for r in records["test.jsonl"]] == ["roco-ROCOv2_2023_test_1"]
    assert told(aside) == [("test-00000-of-00001.parquet", 2, "id")]


def test_the_published_text_is_read_wholly(shared_data: Path) -> None:
    lines = read_captions(shared_data / "roco_text" / "captions.txt")
    assert len(lines) == 3388
    assert all(name.startswith("ROCO_") and caption for _, (name, caption) in lines)
