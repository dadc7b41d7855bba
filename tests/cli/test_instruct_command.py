from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from osler.record_files import read_records, write_records
from osler.records import Provenance
from tests.cli.conftest import Osler
from tests.endpoint_server import chat, serving
from tests.instruct.test_abnormality import picture, region


@pytest.fixture
def records(tmp_path: Path) -> Path:
    for name in "abc":
        Image.new("RGB", (1000, 800)).save(tmp_path / f"{name}.png")
    write_records(
        [
            picture("a", region(100, 80, 400, 240, "WBC"), region(0, 0, 50, 40, "RBC")),
            picture("b", region(0, 0, 50, 40, "RBC")),
            picture("c"),
        ],
        tmp_path / "records.jsonl",
    )
    return tmp_path / "records.jsonl"


def test_templates_and_counts(records: Path, osler: Osler, tmp_path: Path) -> None:
    out = tmp_path / "out" / "i.jsonl"
    done = osler("instruct", "abnormality", records, "--out", out, "--classes", "WBC", "--wording", "fixed")
    assert done.status == 0, done.err
    assert f"{out}: 3 records (1 with regions, 2 without)" in done.out
    assert "image paths are relative to" in done.out
    made = read_records(out)
    assert made[0].answer == (
        "There is an abnormality. It lies at <box>(100,100),(400,300)</box>. This is consistent with WBC."
    )


def test_options(records: Path, osler: Osler, tmp_path: Path) -> None:
    out = tmp_path / "i.jsonl"
    (tmp_path / "words.json").write_text('{"WBC": ["white blood cell"]}')
    done = osler(
        *("instruct", "abnormality", records, "--out", out, "--given-region", "--box-format", "norm100_xyxy"),
        *("--limit", 2, "--synonyms", tmp_path / "words.json"),
    )
    assert done.status == 0, done.err
    first, second = read_records(out)
    assert first.question == "What is the abnormality at {<0><0><5><5>}?"
    assert json.loads(second.tags["synonyms"]) == {"WBC": ["white blood cell"]}
    done = osler("instruct", "abnormality", records, "--out", out, "--no-negatives", "--max-regions", 1)
    assert "1 records (1 with regions, 0 without)" in done.out
    assert "left out: 1 (more than 1 regions)" in done.out
    assert "left out: 1 (no region)" in done.out


def test_mistakes(records: Path, osler: Osler, tmp_path: Path) -> None:
    for arguments, reason in (
        (["--out", records], "is the input"),
        (["--out", tmp_path / "i.jsonl", "--classes", "WBS"], "did you mean 'WBC'"),
        (["--out", tmp_path / "i.jsonl", "--box-format", "norm"], "is unknown"),
        (["--out", tmp_path / "i.jsonl", "--synonyms", records], "cannot be read as JSON"),
        (["--out", tmp_path / "i.jsonl", "--endpoint", "http://127.0.0.1:9/v1"], "needs --model"),
        (["--out", tmp_path / "i.jsonl", "--endpoint", "http://8.8.8.8/v1", "--model", "m"], "outside this machine"),
    ):
        done = osler("instruct", "abnormality", records, *arguments)
        assert done.status == 2, done
        assert reason in " ".join(done.err.replace("│", " ").split())
        assert "Traceback" not in done.err
        assert not (tmp_path / "i.jsonl").exists()


def test_a_source_without_boxes_is_not_called_normal(records: Path, osler: Osler, tmp_path: Path) -> None:
    mixed = [*read_records(records), picture("d", provenance=Provenance(source="vqa"))]
    write_records(mixed, tmp_path / "mixed.jsonl")
    done = osler("instruct", "abnormality", tmp_path / "mixed.jsonl", "--out", tmp_path / "i.jsonl")
    assert done.status == 2
    assert "source 'vqa' has a region" in done.err
    done = osler("instruct", "abnormality", tmp_path / "mixed.jsonl", "--out", tmp_path / "i.jsonl", "--no-negatives")
    assert done.status == 0


def test_nothing_to_write_is_a_failure(records: Path, osler: Osler, tmp_path: Path) -> None:
    write_records(list(read_records(records))[2:], tmp_path / "none.jsonl")
    done = osler("instruct", "abnormality", tmp_path / "none.jsonl", "--out", tmp_path / "i.jsonl", "--no-negatives")
    assert done.status == 1
    assert "0 records" in done.out


def test_with_an_endpoint(records: Path, osler: Osler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSLER_ENDPOINT_KEY", "k-123")
    good = "Detected. It lies at <box>(100,100),(400,300)</box>. It is a WBC."
    out = tmp_path / "i.jsonl"
    with serving(lambda body: chat(good)) as server:
        arguments = ("instruct", "abnormality", records, "--out", out, "--classes", "WBC", "--model", "m")
        done = osler(*arguments, "--endpoint", server.url)
        assert done.status == 0, done.err
        assert "endpoint: 1 written, 0 reused, 0 failed" in done.out
        assert "endpoint: 0 written, 1 reused, 0 failed" in osler(*arguments, "--endpoint", server.url).out
    assert server.headers[0]["authorization"] == "Bearer k-123"
    assert read_records(out)[0].answer == good
    assert "k-123" not in out.read_text() + (tmp_path / "i.jsonl.answers.jsonl").read_text()
