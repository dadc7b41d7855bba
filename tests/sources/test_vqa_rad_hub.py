"""VQA-RAD on the Hub: https://huggingface.co/datasets/flaviagiammarino/vqa-rad (image, question, answer)."""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.evaluation import tasks
from osler.record_files import read_records
from osler.sources import get, vqa_rad
from tests.sources.published import hub_image, parquet


def test_the_deduplicated_convention_has_the_published_counts(shared_data: Path) -> None:
    folder = shared_data / "vqa_rad"
    parts = {split: vqa_rad.load(folder, split=split, convention="deduplicated") for split in ("train", "dev", "test")}
    assert (len(parts["test"]), len(parts["train"]) + len(parts["dev"])) == (451, 1793)
    official = vqa_rad.load(folder)
    assert [record.id for record in parts["test"]] == [record.id for record in official]
    everything = [(r.images[0].path, r.question, r.answer) for part in parts.values() for r in part]
    assert len(set(everything)) == 2244 == len(everything)
    assert len(vqa_rad.copies(vqa_rad.load_all(folder))) == 4
    used = {split: {r.images[0].path for r in part} for split, part in parts.items()}
    assert not used["dev"] & (used["train"] | used["test"])


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    pictures = [hub_image(tmp_path, seed) for seed in range(30)]
    train = [
        {"image": picture, "question": f"question {number}?", "answer": "Yes" if number % 2 else "left lobe"}
        for picture in pictures
        for number in range(4)
    ]
    test = [{"image": picture, "question": "another?", "answer": "no"} for picture in pictures[:20]]
    parquet(tmp_path / "hub" / "data" / "train-00000-of-00001-eb8844602202be60.parquet", train)
    parquet(tmp_path / "hub" / "data" / "test-00000-of-00001-e5bc3d208bb4deeb.parquet", test)
    return tmp_path / "hub"


def test_parquet_files_become_records_of_either_convention(hub: Path, tmp_path: Path) -> None:
    fetched = get("vqa-rad").get(tmp_path / "d", **{"from": str(hub)}, convention="deduplicated")
    assert (fetched.files["test.jsonl"], sum(fetched.files.values())) == (20, 140)
    assert any("published are" in remark for remark in fetched.remarks)
    kinds = {record.tags["answer_type"] for record in read_records(tmp_path / "d" / "train.jsonl")}
    assert kinds == {"OPEN", "CLOSED"}
    dev, test = ({r.images[0].path for r in read_records(tmp_path / "d" / f"{s}.jsonl")} for s in ("dev", "test"))
    assert not dev & test
    task = tasks.get("vqa-rad")
    items = task.load(tmp_path / "d", split="test", convention="deduplicated")
    assert len(items) == 20
    assert task.validate(items) == []
    assert len(task.training(tmp_path / "d", convention="deduplicated") or []) == fetched.files["train.jsonl"]
    with pytest.raises(SourceError, match="was written for the convention deduplicated, not image-disjoint"):
        task.load(tmp_path / "d", split="test", convention="image-disjoint")

    get("vqa-rad").get(tmp_path / "i", **{"from": str(hub)})
    used = [{r.images[0].path for r in read_records(tmp_path / "i" / f"{s}.jsonl")} for s in ("train", "dev", "test")]
    assert not used[0] & used[1] | used[0] & used[2] | used[1] & used[2]


def test_what_the_hub_cannot_serve(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="has no four copies"):
        get("vqa-rad").get(tmp_path / "x", **{"from": str(hub)}, convention="official")
    with pytest.raises(SourceError, match=r"parquet files.*osler data get vqa-rad OUT from="):
        tasks.get("vqa-rad").load(hub, split="test", convention="deduplicated")
    monkeypatch.setenv("OSLER_OFFLINE", "1")
    with pytest.raises(SourceError, match="OSLER_OFFLINE is set"):
        get("vqa-rad").get(tmp_path / "y", layout="hub", convention="deduplicated")
