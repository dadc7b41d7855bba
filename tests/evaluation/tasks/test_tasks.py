from __future__ import annotations

from pathlib import Path

import pytest

from osler.errors import EvaluationError
from osler.evaluation import protocols, tasks
from osler.evaluation.tasks import Task
from osler.records import ImageRef, Record, Turn


def record(name="r1", question="<image> is it ?", answer: str | None = "yes", **tags):
    turns = [Turn(role="user", text=question)]
    if answer is not None:
        turns.append(Turn(role="assistant", text=answer))
    return Record(id=name, images=(ImageRef(path="a.png"),), turns=tuple(turns), tags=tags)


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_is_complete(name):
    task = tasks.get(name)
    assert isinstance(task, Task)
    assert task.name == name
    assert all((task.version, task.description, task.conventions))
    for protocol in (*task.protocols, *task.strict):
        assert protocols.get(protocol).name == protocol


def test_unknown_task_is_answered_with_the_nearest():
    with pytest.raises(EvaluationError, match="did you mean 'vqa-rad'"):
        tasks.get("vqarad")


def test_validate_finds_items_that_cannot_be_scored():
    task = tasks.get("records")
    good = [record("a", answer="Yes", answer_type="CLOSED"), record("b", answer="A"), record("c", answer="3.5 cm")]
    assert task.validate(good) == []
    bad = [*good, record("a"), record("d", answer=None), record("e", answer=" "), record("f", answer="?!")]
    assert [(p.item, p.protocol) for p in task.validate(bad)] == [("a", None), ("d", None), ("e", None)]


def test_validate_reports_gold_answers_that_a_strict_protocol_refuses():
    class Picky(type(tasks.get("records"))):
        strict = ("llava-med-exact-match",)

    problems = Picky().validate([record(answer="lung lung", answer_type="open")])
    assert [(p.item, p.protocol) for p in problems] == [("r1", "llava-med-exact-match")]
    assert "scores 0.5" in problems[0].reason


def test_gold_answers_of_vqa_rad_score_one(shared_data: Path):
    task = tasks.get("vqa-rad")
    for convention in task.conventions:
        for split in ("train", "dev", "test"):
            assert task.validate(task.load(shared_data / "vqa_rad", split=split, convention=convention)) == []


def test_prompt_is_the_first_question():
    turns = (
        Turn(role="system", text="be brief"),
        Turn(role="user", text="<image> one ?"),
        Turn(role="assistant", text="1"),
        Turn(role="user", text="two ?"),
        Turn(role="assistant", text="2"),
    )
    found = tasks.get("records").prompt(Record(id="x", images=(ImageRef(path="a"),), turns=turns))
    assert [turn.text for turn in found] == ["be brief", "<image> one ?"]


def test_records_task_reads_a_file_or_a_folder(tmp_path):
    task = tasks.get("records")
    (tmp_path / "test.jsonl").write_text(record().model_dump_json() + "\n")
    assert [r.id for r in task.load(tmp_path, split="test", convention="files")] == ["r1"]
    assert [r.id for r in task.load(tmp_path / "test.jsonl", split="test", convention="files")] == ["r1"]
    assert task.training(tmp_path, convention="files") is None
    (tmp_path / "train.jsonl").write_text(record("t1").model_dump_json() + "\n")
    assert [r.id for r in task.training(tmp_path, convention="files")] == ["t1"]
    with pytest.raises(EvaluationError, match=r"dev\.jsonl"):
        task.load(tmp_path, split="dev", convention="files")
