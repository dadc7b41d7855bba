from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from osler.errors import RecordError, SourceError
from osler.record_files import read_records
from osler.sources import get


def item(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"r{number}",
        "image": f"{number}.png",
        "conversatons": [  # the spelling of the public file
            {"from": "human", "value": "What is shown?\n<image>"},
            {"from": "gpt", "value": f"Picture {number}."},
        ],
        **changes,
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number in range(3):
        Image.new("L", (20 + number, 10)).save(tmp_path / "images" / f"{number}.png")
    return tmp_path


def write(folder: Path, items: list[Any]) -> Path:
    path = folder / "train.json"
    path.write_text(json.dumps(items))
    return path


def test_items_become_records_with_image_sizes_and_bad_ones_are_set_aside(data: Path) -> None:
    broken = item(2, conversatons=[{"from": "human", "value": "no picture"}, {"from": "gpt", "value": "?"}])
    path = write(data, [item(0), broken, item(1, conversatons_long=item(1)["conversatons"])])
    options = {"from": str(path), "images": str(data / "images"), "licence": "CC0", "split": "train"}
    fetched = get("llava-json").get(data / "out", **options)
    records = read_records(data / "out" / "train.jsonl")
    assert [record.id for record in records] == ["r0", "r1"]
    assert [(ref.width, ref.height) for record in records for ref in record.images] == [(20, 10), (21, 10)]
    assert records[1].extended == ("Picture 1.",)
    assert (records[0].provenance.licence, records[0].provenance.split) == ("CC0", "train")
    reject = json.loads((data / "out" / "train.jsonl.rejects.jsonl").read_text())
    assert reject["line"] == 2
    assert "placeholders" in reject["reason"]
    assert fetched.rejects == {"train.jsonl.rejects.jsonl": 1}


def test_absent_images_stop_or_are_counted(data: Path) -> None:
    path = write(data, [item(0), item(7)])
    options = {"from": str(path), "images": str(data / "images")}
    with pytest.raises(RecordError, match=r"r7: image 0 \(7.png\): missing"):
        get("llava-json").get(data / "out", **options)
    fetched = get("llava-json").get(data / "out", **options, missing_images="drop")
    assert fetched.files == {"train.jsonl": 1}
    assert any("1 records were left out" in remark for remark in fetched.remarks)


def test_an_image_path_that_climbs_out_is_an_error_not_a_missing_file(data: Path) -> None:
    path = write(data, [item(0), item(1, image="../../secret.png")])
    with pytest.raises(RecordError, match="climbs out"):
        get("llava-json").get(
            data / "out", **{"from": str(path), "images": str(data / "images")}, missing_images="drop"
        )


def test_the_input_is_never_overwritten(data: Path) -> None:
    path = write(data, [item(0)]).rename(data / "train.jsonl")
    with pytest.raises(SourceError, match="overwrite its own input"):
        get("llava-json").get(data, **{"from": str(path), "images": str(data / "images")})
    assert path.read_text()


def test_repeated_ids_can_be_derived(data: Path) -> None:
    path = write(data, [item(0), item(1, id="r0")])
    options = {"from": str(path), "images": str(data / "images")}
    assert get("llava-json").get(data / "a", **options).files == {"train.jsonl": 1}
    assert get("llava-json").get(data / "b", **options, derive_ids="yes").files == {"train.jsonl": 2}
