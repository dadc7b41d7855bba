"""The examples of docs/evaluation.md run as they stand, and the schema names every field that is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

from osler.evaluation import tasks
from osler.sources import vqa_rad

from .test_run import Oracle, run

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks():
    return re.findall(r"```python\n(.*?)```", (DOCS / "evaluation.md").read_text(), flags=re.S)


def test_examples(tiny_llava, shared_data, tmp_path, monkeypatch, record_folder, capsys):
    model, processor = tiny_llava
    model.save_pretrained(tmp_path / "my-model")
    processor.save_pretrained(tmp_path / "my-model")
    (tmp_path / "vqa_rad").symlink_to(shared_data / "vqa_rad")
    records = vqa_rad.load(shared_data / "vqa_rad")
    lines = [json.dumps({"question_id": r.id.removeprefix("vqa-rad-"), "text": "no"}) for r in records]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tasks, "_REGISTERED", {})
    evaluating, answering, adding = blocks()
    exec(evaluating, {})
    out = capsys.readouterr().out
    assert out.endswith("report.html\n")
    assert (tmp_path / "runs" / "eval" / "report.html").is_file()
    exec(answering, {})
    assert 0.0 < float(capsys.readouterr().out) < 1.0
    exec(adding, {"folder": record_folder})
    assert capsys.readouterr().out == "[]\n"
    assert len(adding.strip().splitlines()) <= 20
    assert "hands" in tasks.names()


def test_split_table_is_true(shared_data):
    rows = re.findall(r"^\| (?:`([\w-]+)`)? ?\| (train|dev|test) \| ([\d,]+) \| (\d+) \| ([\d,]+) \| (\d+)",
                      (DOCS / "evaluation.md").read_text(), flags=re.M)  # fmt: skip
    assert len(rows) == 6
    convention = ""
    for name, split, items, opened, closed, images in rows:
        convention = name or convention
        records = vqa_rad.load(shared_data / "vqa_rad", split=split, convention=convention)
        kinds = [r.tags["answer_type"] for r in records]
        told = [int(number.replace(",", "")) for number in (items, opened, closed, images)]
        pictures = {image.path for r in records for image in r.images}
        assert told == [len(records), kinds.count("OPEN"), kinds.count("CLOSED"), len(pictures)], (convention, split)


def test_schema_names_every_field(record_folder, tmp_path):
    result = run(Oracle(record_folder), record_folder, tmp_path / "out")
    text = (DOCS / "schema_scores.md").read_text()
    scores = result.scores
    named = {*scores, *scores["task"], *scores["statistics"], *scores["controls"], *scores["run"]}
    named |= {*scores["controls"]["shuffled"], *scores["controls"]["majority"], *scores["differences"][0]}
    named |= set(scores["conditions"]["real"]["protocols"]["yes-no"])
    named |= set(json.loads((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()[0]))
    assert not [name for name in sorted(named) if not re.search(rf"[`.]{name}[`.]", text)]
