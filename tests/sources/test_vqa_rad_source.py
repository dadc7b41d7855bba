from __future__ import annotations

from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.images import image_size
from osler.record_files import check_images, read_records
from osler.sources import get


def test_a_copy_becomes_record_files_whose_images_are_there(shared_data: Path, tmp_path: Path) -> None:
    fetched = get("vqa-rad").get(tmp_path / "out", **{"from": str(shared_data / "vqa_rad")})
    parts = {name: read_records(tmp_path / "out" / name) for name in fetched.files}
    assert set(parts) == {"train.jsonl", "dev.jsonl", "test.jsonl"}
    assert sum(fetched.files.values()) == 2248
    used = [{ref.path for record in part for ref in record.images} for part in parts.values()]
    assert not used[0] & used[1]
    assert not used[0] & used[2]
    assert not used[1] & used[2]
    assert check_images(parts["test.jsonl"], tmp_path / "out", size_of=image_size).problems == ()


def test_the_official_split_comes_with_a_warning(shared_data: Path, tmp_path: Path) -> None:
    options = {"from": str(shared_data / "vqa_rad"), "convention": "official"}
    fetched = get("vqa-rad").get(tmp_path, **options)
    assert fetched.files["test.jsonl"] == 451
    assert "202 of its 203 test images are training images" in fetched.remarks[0]


def test_offline_and_a_wrong_folder_name_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="from=FOLDER"):
        get("vqa-rad").get(tmp_path / "out", **{"from": str(tmp_path)})
    monkeypatch.setenv("OSLER_OFFLINE", "1")
    with pytest.raises(SourceError, match=r"OSLER_OFFLINE is set.*from=FOLDER"):
        get("vqa-rad").get(tmp_path / "out")
