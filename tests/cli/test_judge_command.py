from __future__ import annotations

import json
from pathlib import Path

from osler.record_files import read_records
from tests.cli.conftest import Osler
from tests.endpoint_server import chat, replies, serving


def test_marks_of_a_run_are_printed_and_kept(osler: Osler, records_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "e"
    answers = {record.id: "red" for record in read_records(records_folder / "test.jsonl")}
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    common = ("--task", "records", "--data", records_folder)
    assert osler("eval", "--answers", tmp_path / "answers.json", *common, "--out", out).status == 0
    with serving(replies(chat("9 3"))) as server:
        arguments = ("judge", out, "--endpoint", server.url, "--model-name", "m")
        both = ("--protocol", "llm-judge,llava-med-judge", "--repeats", "2")
        result = osler(*arguments, *both, "--data", records_folder)
        assert result.status == 0, result.err
        asked = len(server.asked)
        assert osler(*arguments, *both, "--data", records_folder).status == 0
        assert len(server.asked) == asked
    for wanted in ("position bias +6.00 marks", "relative score 33.3", "asked again 100 %", "0 failed"):
        assert wanted in result.out, wanted
    assert set(json.loads((out / "scores.json").read_text())["judges"]) == {"llm-judge", "llava-med-judge"}
    refused = osler("judge", out, "--endpoint", "http://8.8.8.8/v1", "--model-name", "m")
    assert refused.status == 2
    assert "--allow-remote" in refused.err
