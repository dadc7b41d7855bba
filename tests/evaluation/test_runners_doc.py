"""The examples of docs/runners.md run, its commands exist, and the server's requirements are pinned."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.main import get_command

from osler.evaluation import evaluate
from tests.endpoint_server import serving
from tests.model_server import ModelServer

REPOSITORY = Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "docs" / "runners.md").read_text()


def test_python_examples(tiny_llava, record_folder, monkeypatch, capsys):
    reading, asking = re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)
    monkeypatch.chdir(record_folder.parent)
    evaluate(tiny_llava, "records", data="data", out="runs/a", controls=(), max_new_tokens=4, progress=False)
    exec(reading, {})
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 3
    assert all(0.0 < float(line.split()[-1]) <= 1.0 for line in lines)
    with serving(ModelServer(*tiny_llava)) as server:
        exec(asking.replace("http://127.0.0.1:8000/v1", server.url), {})
    assert capsys.readouterr().out.startswith("m at http://127.0.0.1:")


def test_commands():
    from osler.cli.app import app

    commands = get_command(app).commands
    told = re.findall(r"^osler (\w+) ((?:.*\\\n)*.*)$", TEXT, flags=re.M)
    assert {verb for verb, _ in told} == {"eval", "judge"}
    for verb, line in told:
        options = {name for parameter in commands[verb].params for name in parameter.opts}
        words = shlex.split(line.replace("\\\n", " "), comments=True)
        used = {word for word in words if word.startswith("--")}
        assert used <= options, (verb, used - options)
    inline = set(re.findall(r"`(--[a-z-]+)", TEXT))
    known = {name for command in commands.values() for parameter in command.params for name in parameter.opts}
    assert inline <= known


def test_requirements_of_the_server_are_pinned():
    lines = (REPOSITORY / "requirements" / "vllm.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    for line in pins:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*", line), line
    assert pins[0] == "vllm==0.33.0"
