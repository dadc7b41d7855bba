"""PathVQA. Columns: https://huggingface.co/datasets/flaviagiammarino/path-vqa (image, question, answer)."""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.images import image_size
from tests.sources.published import fetch, hub_image, parquet, told


def test_shards_become_records_and_equal_pictures_one_file(tmp_path: Path) -> None:
    one, two = hub_image(tmp_path, 1), hub_image(tmp_path, 2)
    home = tmp_path / "hub"
    parquet(
        home / "data" / "test-00000-of-00002-a.parquet", [{"image": one, "question": "is it liver?", "answer": "Yes"}]
    )
    parquet(
        home / "data" / "test-00001-of-00002-b.parquet",
        [
            {"image": one, "question": "what is shown?", "answer": "liver"},
            {"image": two, "question": "where?", "answer": "x"},
        ],
    )
    parquet(home / "data" / "train-00000-of-00001.parquet", [{"image": two, "question": "where?", "answer": "y"}])
    records, aside, fetched = fetch("path-vqa", tmp_path / "out", **{"from": str(home)})
    assert aside == []
    test = records["test.jsonl"]
    assert [r.id for r in test] == ["path-vqa-test-1", "path-vqa-test-2", "path-vqa-test-3"]
    assert [r.tags["answer_type"] for r in test] == ["CLOSED", "OPEN", "OPEN"]
    assert [r.tags["question_type"] for r in test] == ["is", "what", "where?"]
    assert test[0].images == test[1].images != test[2].images == records["train.jsonl"][0].images
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2
    assert image_size(tmp_path / "out" / test[0].images[0].path) == (40, 30)
    assert any("published are" in remark for remark in fetched.remarks)


def test_bad_rows_and_files(tmp_path: Path) -> None:
    good = {"image": hub_image(tmp_path), "question": "is it?", "answer": "no"}
    home = tmp_path / "hub"
    rows = [
        good,
        {**good, "answer": ""},
        {**good, "question": None},
        {**good, "image": {"bytes": b"GARBAGE", "path": None}},
    ]
    parquet(home / "test-0.parquet", rows)
    _, aside, _ = fetch("path-vqa", tmp_path / "out", **{"from": str(home)})
    assert told(aside) == [
        ("test-0.parquet", 2, "answer"),
        ("test-0.parquet", 3, "question"),
        ("test-0.parquet", 4, "image"),
    ]
    parquet(home / "test-0.parquet", [{"image": good["image"], "question": "a"}])
    with pytest.raises(SourceError, match=r"test-0\.parquet: has no column 'answer'"):
        fetch("path-vqa", tmp_path / "out", **{"from": str(home)})
    (home / "test-0.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(SourceError, match="is no readable parquet"):
        fetch("path-vqa", tmp_path / "out", **{"from": str(home)})
