"""docs/tasks.md says what is so: its table, its counts, its examples."""

from __future__ import annotations

import re
from pathlib import Path

from osler.evaluation import tasks
from osler.record_files import write_records
from osler.record_options import options_tag
from osler.sources import names
from tests.evaluation.tasks.test_published_tasks import record

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "tasks.md").read_text()
ROWS = [line for line in TEXT.split("\n\n**Layout")[0].splitlines() if line.startswith("| `")]


def test_every_task_stands_in_the_table_as_it_is() -> None:
    told = {name: row for row in ROWS for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}
    assert set(told) == set(tasks._FILES)
    for name, row in told.items():
        task, cells = tasks.get(name), [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[3] == task.layout, name
        if task.source:
            assert f"`{task.source}`" in cells[1], name
        stated = re.findall(r"`([\w-]+)`", cells[2])
        whole = [*stated, *(f"{convention}-baseline" for convention in stated)] if name == "medvh" else stated
        assert not stated or set(task.conventions) <= set(whole), name
        assert set(stated) - {"-baseline"} <= set(task.conventions), name
        for protocol in re.findall(r"`([\w-]+)`", cells[4]):
            assert protocol in (*task.protocols, *task.further), (name, protocol)
    assert {source for row in ROWS for source in re.findall(r"`([\w-]+)`", row.split("|")[2])} <= set(names())


def test_examples_run_as_they_stand(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(tasks, "_REGISTERED", {})
    counting, adding = re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)
    exec(counting, {})
    assert capsys.readouterr().out == "0.391\n"
    write_records([record("a", "mild", options=options_tag(["none", "mild"]))], tmp_path / "test.jsonl")
    exec(adding, {"folder": tmp_path})
    assert capsys.readouterr().out == "[]\n"
    assert len(adding.strip().splitlines()) <= 20
    (turn,) = tasks.get("retina").prompt(record("a", "mild", options=options_tag(["none", "mild"])))
    assert turn.text == "<image>\nwhat is it ? none / mild?"
