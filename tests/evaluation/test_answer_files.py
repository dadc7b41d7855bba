from __future__ import annotations

import json

import pytest

from osler.errors import EvaluationError
from osler.evaluation import score_answers
from osler.evaluation.answer_files import read_answers
from osler.evaluation.tasks import get
from osler.record_files import read_records


@pytest.fixture
def gold(record_folder):
    return {record.id: record.answer for record in read_records(record_folder / "test.jsonl")}


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def score(path, folder, out, **options):
    return score_answers(path, "records", data=folder, out=out, **options).scores


def protocols(scores, condition="real"):
    return scores["conditions"][condition]["protocols"]


@pytest.mark.parametrize("layout", ["llava-med", "simple", "list", "mapping"])
def test_layouts(layout, gold, record_folder, tmp_path):
    path = tmp_path / "answers.jsonl"
    if layout == "llava-med":
        write(
            path,
            [
                {"question_id": i, "prompt": "p", "text": t, "answer_id": "x", "model_id": "m", "metadata": {}}
                for i, t in gold.items()
            ],
        )
    elif layout == "simple":
        write(path, [{"id": i, "answer": t} for i, t in reversed(gold.items())])
    else:
        rows = [{"id": i, "answer": t} for i, t in gold.items()]
        path.write_text(json.dumps(rows if layout == "list" else gold))
    scores = score(path, record_folder, tmp_path / "out")
    assert {entry["mean"] for entry in protocols(scores).values()} == {1.0}
    assert scores["decoding"] == {"decoding": "unknown: answers were read from a file"}
    assert scores["controls"]["majority"]["training_records"] == 6
    assert any("Blank and shuffled controls were not run" in w for w in scores["warnings"])
    assert (tmp_path / "out" / "report.html").is_file()


def test_missing_unknown_and_contradicting_ids_stop_or_count(gold, record_folder, tmp_path):
    lines = [{"id": i, "answer": t} for i, t in gold.items()][1:]  # one is missing
    lines += [{"id": "stranger", "answer": "yes"}, lines[0], {"id": lines[1]["id"], "answer": "something else"}]
    path = write(tmp_path / "a.jsonl", lines)
    with pytest.raises(EvaluationError, match=r"1 items are unknown to the task \(stranger\)") as error:
        score(path, record_folder, tmp_path / "out")
    assert "1 items are missing from the file (test-0-PRES-0)" in str(error.value)
    assert f"1 items are answered twice and differently ({lines[1]['id']})" in str(error.value)
    assert "The task's ids look like 'test-0-PRES-0'" in str(error.value)
    scores = score(path, record_folder, tmp_path / "out", allow_incomplete=True)
    strict = protocols(scores)["strict-exact-match"]
    assert (strict["denominator"], strict["missing"], strict["failures"]) == (12, 2, 2)
    assert strict["mean"] == pytest.approx(10 / 12)
    assert scores["faults"] == {
        "unknown to the task": 1, "missing from the file": 1, "answered twice and differently": 1,
    }  # fmt: skip
    assert "2 ids occur more than once in the answer file." in scores["warnings"]


def test_prefix(gold, record_folder, tmp_path):
    path = write(tmp_path / "a.jsonl", [{"id": i.removeprefix("test-"), "answer": t} for i, t in gold.items()])
    scores = score(path, record_folder, tmp_path / "out", id_prefix="test-")
    assert protocols(scores)["strict-exact-match"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds no answers"),
        ('{"id": 1, "answer": "x"}\nnot json\n', r"a\.jsonl:2: not JSON"),
        ('{"id": 1, "answer": "x"}\n{"answer": "x"}\n', r"a\.jsonl:2: holds no an id"),
        ('{"id": 1}\n', "holds no an answer"),
        ('{"id": 1, "answer": null}\n', "holds no an answer"),
        ("[1, 2]", r"a\.jsonl:1: a int, not an object"),
    ],
)
def test_malformed_files_are_named(content, reason, tmp_path):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(EvaluationError, match=reason):
        read_answers(tmp_path / "a.jsonl")


def test_empty_answers_are_kept_and_fail(gold, record_folder, tmp_path):
    path = write(tmp_path / "a.jsonl", [{"id": i, "answer": ""} for i in gold])
    entry = protocols(score(path, record_folder, tmp_path / "out"))["yes-no"]
    assert (entry["mean"], entry["denominator"], entry["failures"], entry["missing"]) == (0.0, 8, 8, 0)


def test_vqa_rad_predictions_by_bare_number(shared_data, tmp_path):
    task = get("vqa-rad")
    records = task.load(shared_data / "vqa_rad", split="test", convention="official")
    path = write(tmp_path / "a.jsonl", [{"question_id": int(r.id[8:]), "text": "No"} for r in records])
    scores = score_answers(path, task, data=shared_data / "vqa_rad", out=tmp_path / "out", id_prefix="vqa-rad-").scores
    closed = protocols(scores)["llava-med-closed"]
    no = sum(r.tags["answer_type"] == "CLOSED" and "no" in r.answer.lower().split() for r in records)
    assert closed["denominator"] == 272
    assert closed["mean"] * 272 == pytest.approx(no)
