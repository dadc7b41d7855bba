"""`osler eval` with a hub name, an adapter, an address, a server of its own, and options."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import sys
from pathlib import Path

import pytest

from osler.models import load_model
from osler.record_files import read_records, write_records
from tests.cli.conftest import Osler
from tests.endpoint_server import serving
from tests.model_server import ModelServer


def answers(folder: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    return {line["item"]: line["answer"] for line in lines if line["condition"] == "real"}


def test_local_and_served_by_its_own_server_and_by_one_that_runs(
    osler: Osler, model_folder: Path, records_folder: Path, tmp_path: Path
) -> None:
    common = ("--task", "records", "--data", records_folder, "--max-new-tokens", "4", "--controls", "none")
    assert osler("eval", model_folder, *common, "--out", tmp_path / "local").status == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = shlex.join([sys.executable, "-m", "tests.model_server", str(model_folder), str(port)])
    place = ("--endpoint", f"http://127.0.0.1:{port}/v1", "--server", command)
    result = osler("eval", *common, *place, "--out", tmp_path / "started")
    assert result.status == 0, result.err
    assert "waiting for" in result.err
    assert "serving at" in (tmp_path / "started" / "server.log").read_text()
    loaded = load_model(model_folder)
    with serving(ModelServer(loaded.model, loaded.processor), models=("x", "y")) as server:
        place = ("--endpoint", server.url, "--model-name", "y")
        result = osler("eval", *common, *place, "--concurrency", "2", "--out", tmp_path / "served")
    assert result.status == 0, result.err
    assert len(answers(tmp_path / "local")) == 6
    assert answers(tmp_path / "local") == answers(tmp_path / "started") == answers(tmp_path / "served")
    scores = json.loads((tmp_path / "served" / "scores.json").read_text())
    assert scores["model"]["name"] == f"y at {server.url}"
    assert scores["decoding"]["runner"] == "endpoint"


def test_a_hub_name_from_the_cache(
    osler: Osler, model_folder: Path, records_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "models--someone--tiny-vlm"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(revision)
    shutil.copytree(model_folder, cached / "snapshots" / revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    common = ("--task", "records", "--data", records_folder, "--max-new-tokens", "4", "--controls", "none")
    result = osler("eval", "someone/tiny-vlm", *common, "--out", tmp_path / "hub-run")
    assert result.status == 0, result.err
    scores = json.loads((tmp_path / "hub-run" / "scores.json").read_text())
    assert scores["model"]["name"] == f"someone/tiny-vlm@{revision[:12]}"
    absent = osler("eval", "someone/absent", *common, "--out", tmp_path / "absent")
    assert absent.status == 2
    assert "someone/absent" in absent.err
    assert "Traceback" not in absent.err


def test_the_likeliest_option(osler: Osler, model_folder: Path, records_folder: Path, tmp_path: Path) -> None:
    records = [
        record.model_copy(update={"tags": {"options": json.dumps(["red", "green", "blue"]), "dataset": "x"}})
        for record in read_records(records_folder / "test.jsonl")
    ]
    write_records(records, tmp_path / "data" / "test.jsonl")
    (tmp_path / "data" / "images").symlink_to(records_folder / "images")
    common = ("--data", tmp_path / "data", "--controls", "none", "--decoding", "options")
    result = osler("eval", model_folder, "--task", "classify-vqa", *common, "--out", tmp_path / "o")
    assert result.status == 0, result.err
    lines = [json.loads(line) for line in (tmp_path / "o" / "predictions.jsonl").read_text().splitlines()]
    for line in lines:
        best = max(range(3), key=line["options_logprob"].__getitem__)
        assert line["answer"] == line["options"][best]
        assert line["logprob"] == line["options_logprob"][best] < 0
    entry = json.loads((tmp_path / "o" / "scores.json").read_text())
    assert entry["decoding"]["answers"] == "likeliest option"
    assert entry["conditions"]["real"]["protocols"]["candidate-whole-word"]["failures"] == 0
    none = osler("eval", model_folder, "--task", "records", *common, "--out", tmp_path / "n")
    assert "has no options to choose from" in none.err
    unknown = osler("eval", model_folder, "--task", "records", *common, "--decoding", "best", "--out", tmp_path / "n")
    assert "is none of generate, options" in unknown.err


def test_contradicting_choices_are_refused(
    osler: Osler, model_folder: Path, records_folder: Path, tmp_path: Path
) -> None:
    common = ("--task", "records", "--data", records_folder, "--out", tmp_path / "x")
    assert "give one of" in osler("eval", *common).err
    assert "give one of" in osler("eval", model_folder, "--endpoint", "http://127.0.0.1:1/v1", *common).err
    assert "--server goes with --endpoint" in osler("eval", model_folder, "--server", "vllm", *common).err
    assert "--model-name goes with --endpoint" in osler("eval", model_folder, "--model-name", "a", *common).err
    outside = osler("eval", "--endpoint", "http://8.8.8.8/v1", "--model-name", "a", *common)
    assert outside.status == 2
    assert "--allow-remote" in outside.err
    absent = ("--endpoint", "http://127.0.0.1:9/v1", "--server", f"touch {tmp_path / 'started'}", "--model-name", "a")
    result = osler("eval", *absent, "--task", "records", "--data", tmp_path / "none", "--out", tmp_path / "x")
    assert "there is no such file or folder" in result.err
    assert not (tmp_path / "started").exists(), "a server is started for nothing"
    dead = osler("eval", "--endpoint", "http://127.0.0.1:9/v1", "--model-name", "a", *common)
    assert "cannot be reached" in dead.err
