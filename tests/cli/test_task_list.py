"""`osler eval --list`, `--convention all`, and what `osler data list` tells about access."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from osler.errors import EvaluationError
from osler.evaluation import tasks
from osler.record_files import write_records
from osler.records import Record, Turn
from osler.sources import get
from tests.cli.conftest import Osler


def test_every_task_is_listed_with_its_state(osler: Osler) -> None:
    done = osler("eval", "--list")
    assert done.status == 0, done.err
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert set(tasks.names()) <= set(lines)
    assert "layout verified on the published files" in lines["vqa-rad"]
    assert "layout verified against its public documentation only" in lines["slake"]
    assert "layout NOT verified" in lines["med-grit"]
    assert "reads Osler's own record files" in lines["records"]
    assert "[official, image-disjoint, deduplicated]" in lines["vqa-rad"]


@pytest.mark.parametrize(
    "name", ["medvh", "mimic-reports", "llava-med-chat", "med-grit", "roco", "slake", "omnimedvqa"]
)
def test_a_source_tells_home_licence_revision_and_access(name: str, osler: Osler) -> None:
    told = osler("data", "list", name).out
    for word in ("licence", "home", "revision", "access"):
        assert re.search(rf"^{word} +\S", told, flags=re.M), word
    assert get(name).url.startswith("https://")


def test_where_credentials_are_needed_it_is_said(osler: Osler, tmp_path: Path) -> None:
    for name, words in {
        "mimic-reports": "PhysioNet account, training",
        "medvh": "PhysioNet account",
        "med-grit": "on request",
        "llava-med-chat": "public addresses are gone",
    }.items():
        done = osler("data", "get", name, tmp_path / name)
        assert done.status == 2
        assert words in done.err, name
        assert not (tmp_path / name).exists()


def test_all_conventions_that_a_folder_has(osler: Osler, tmp_path: Path) -> None:
    turns = (Turn(role="user", text="is it ?"), Turn(role="assistant", text="yes"))
    records = [Record(id=str(n), turns=turns, tags={"language": "zh", "answer_type": "CLOSED"}) for n in range(3)]
    write_records(records, tmp_path / "test.jsonl")
    (tmp_path / "a.json").write_text('{"0": "yes", "1": "yes", "2": "no"}')
    common = ("--task", "slake", "--data", tmp_path, "--out", tmp_path / "out")
    done = osler("eval", "--answers", tmp_path / "a.json", *common, "--convention", "all")
    assert done.status == 0, done.err
    assert "holds no test records of the convention 'en': left out" in done.err
    assert (tmp_path / "out" / "scores.json").is_file()
    from osler.cli.task_list import with_records

    with pytest.raises(EvaluationError, match="under any convention"):
        with_records(tasks.get("medvh"), tmp_path, "test")


def test_export_says_what_was_written_and_how_to_run_it(osler: Osler, tmp_path: Path) -> None:
    turns = (Turn(role="user", text="is it ?"), Turn(role="assistant", text="yes"))
    write_records([Record(id="a", turns=turns, tags={"answer_type": "CLOSED"})], tmp_path / "test.jsonl")
    done = osler("data", "export", "records", tmp_path, tmp_path / "out", "--format", "lmms-eval")
    assert done.status == 0, done.err
    assert f"{tmp_path / 'out' / 'osler_records_files'}: 1 items as osler_records_files" in done.out
    assert "python -m lmms_eval --include_path" in done.out
    done = osler("data", "export", "records", tmp_path, tmp_path / "out")
    assert "Items without a picture are dropped by VLMEvalKit." in done.out
    assert osler("data", "export", "records", tmp_path, tmp_path / "out", "--format", "csv").status == 2


def test_a_table_over_conventions_is_printed_with_its_notes(capsys: pytest.CaptureFixture[str]) -> None:
    from osler.cli.task_list import show_summary
    from osler.evaluation.tasks.base import Summary

    show_summary(None)
    assert capsys.readouterr().out == ""
    show_summary(Summary("MedVH", ("task", "acc_h"), [["nota", "0.500"]], ("acc_h: of the task.",)))
    told = capsys.readouterr().out
    assert all(text in told for text in ("MedVH", "nota", "0.500", "acc_h: of the task."))
