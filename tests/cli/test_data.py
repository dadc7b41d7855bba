from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Osler


@pytest.fixture
def data(tmp_path: Path) -> Path:
    Image.new("L", (100, 60)).save(tmp_path / "a.png")
    (tmp_path / "table.csv").write_text(
        "image,question,answer,x1,y1,x2,y2,tag:question_type\n"
        "a.png,Is there a mass?,yes,10,5,50,30,presence\n"
        "a.png,Which organ?,lung,,,,,organ\n"
    )
    return tmp_path


@pytest.fixture
def records(data: Path, osler: Osler) -> Path:
    done = osler("data", "get", "image-csv", data, f"from={data / 'table.csv'}")
    assert done.status == 0, done.err
    return data / "records.jsonl"


def test_list_names_sources_and_one_with_its_options(osler: Osler) -> None:
    done = osler("data", "list")
    assert done.status == 0
    assert all(name in done.out for name in ("sample", "vqa-rad", "llava-json", "image-csv"))
    assert "missing_images" in osler("data", "list", "llava-json").out


def test_get_says_what_was_written_and_what_to_do_next(data: Path, osler: Osler) -> None:
    done = osler("data", "get", "image-csv", data, f"from={data / 'table.csv'}")
    assert f"{data / 'records.jsonl'}: 2 records" in done.out
    assert "osler data show" in done.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["smaple", "x"], "did you mean 'sample'"),
        (["image-csv", "x", "form=table.csv"], "did you mean 'from'"),
        (["image-csv", "x", "table.csv"], "is not KEY=VALUE"),
        (["image-csv", "x"], "needs from="),
    ],
)
def test_get_explains_mistakes(arguments: list[str], reason: str, osler: Osler) -> None:
    done = osler("data", "get", *arguments)
    assert done.status == 2
    assert reason in " ".join(done.err.replace("│", " ").split())
    assert "Traceback" not in done.err


def test_check_passes_good_records(records: Path, osler: Osler) -> None:
    done = osler("data", "check", records)
    assert done.status == 0
    assert "2 valid records, 0 rejected, 0 problems with images" in done.out


def test_check_names_line_field_and_reason_and_exits_with_1(records: Path, osler: Osler) -> None:
    lines = records.read_text().splitlines()
    bad = json.loads(lines[0])
    bad["regions"][0]["box"]["xyxy"] = [10, 5, 500, 30]
    records.write_text("\n".join([lines[0], json.dumps({**bad, "id": "other"}), "{", lines[1]]) + "\n")
    done = osler("data", "check", records)
    assert done.status == 1
    assert f"{records}:2: regions.0.box: " in done.out
    assert f"{records}:3: " in done.out
    assert "2 valid records, 2 rejected" in done.out


def test_check_finds_missing_and_exchanged_images(records: Path, osler: Osler) -> None:
    Image.new("L", (60, 60)).save(records.parent / "a.png")
    done = osler("data", "check", records)
    assert done.status == 1
    assert "wrong size: record says 100 x 60, file is 60 x 60" in done.out
    (records.parent / "a.png").unlink()
    assert "missing" in osler("data", "check", records).out
    assert osler("data", "check", records, "--no-images").status == 0


def test_check_of_an_empty_file_fails(tmp_path: Path, osler: Osler) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    done = osler("data", "check", tmp_path / "empty.jsonl")
    assert done.status == 1
    assert "holds no records" in done.out


def test_show_writes_a_page_beside_the_file(records: Path, osler: Osler) -> None:
    done = osler("data", "show", records)
    assert done.status == 0
    page = records.with_suffix(".html")
    assert f"{page}: 2 of 2 records" in done.out
    assert "Is there a mass?" in page.read_text()


def test_show_of_a_file_without_records_is_an_error(tmp_path: Path, osler: Osler) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    done = osler("data", "show", tmp_path / "bad.jsonl")
    assert done.status == 2
    assert "bad.jsonl:1: " in done.err
