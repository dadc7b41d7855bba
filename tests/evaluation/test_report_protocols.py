"""An evaluation of reports end to end: corpus scores in scores.json and in the page, lacking protocols told."""

from __future__ import annotations

import json

import pytest

from osler.errors import EvaluationError
from osler.evaluation import Answer, compare_runs, evaluate, protocols, tasks
from osler.evaluation.report_metrics import bertscore
from osler.evaluation.scores import score_items
from osler.evaluation.tasks.records import Records
from osler.records import ImageRef, Record, Turn

REPORTS = (
    "The heart is enlarged. Small left pleural effusion. No pneumothorax.",
    "No acute cardiopulmonary process.",
    "Right lower lobe consolidation, concerning for pneumonia.",
    "Lungs are clear. Heart size is normal.",
)
ANSWERS = (
    "The heart is enlarged. No effusion.",
    "No acute cardiopulmonary process.",
    "I'm sorry, I cannot interpret images.",
    "Mild pulmonary edema.",
)


class Reports(Records):
    name = "reports"
    protocols = ("bleu-4", "cider", "chest-findings-f1", "chair", "bertscore", "radgraph-f1")


class Writer:
    name = "writer"

    def settings(self):
        return {"decoding": "fixed"}

    def fingerprint(self):
        return "1"

    def answer(self, requests):
        numbers = [int(request.turns[-1].text.rsplit(" ", 1)[-1]) for request in requests]
        return [Answer(text=ANSWERS[number], tokens=1, finished=True) for number in numbers]


@pytest.fixture
def result(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(tasks, "_REGISTERED", {})
    monkeypatch.delenv(bertscore.FOLDER, raising=False)
    tasks.register(Reports())
    folder = tmp_path / "data"
    folder.mkdir()
    lines = []
    for number, text in enumerate(REPORTS):
        pictures[number].save(folder / f"{number}.png")
        turns = (Turn(role="user", text=f"<image>\nDescribe number {number}"), Turn(role="assistant", text=text))
        lines.append(Record(id=str(number), images=(ImageRef(path=f"{number}.png"),), turns=turns).model_dump_json())
    (folder / "test.jsonl").write_text("\n".join(lines) + "\n")
    return evaluate(Writer(), "reports", data=folder, out=tmp_path / "out", controls=(), progress=False)


def test_reports(result):
    found = result.scores["conditions"]["real"]["protocols"]
    assert list(found) == ["bleu-4", "cider", "chest-findings-f1", "chair"]
    told = [text for text in result.scores["warnings"] if "was left out" in text]
    assert told[0].startswith("bertscore was left out: no encoder: set OSLER_BERTSCORE_MODEL")
    assert told[1].startswith("radgraph-f1 was left out: package radgraph is not installed")
    assert {name: entry["refusals"] for name, entry in found.items()} == dict.fromkeys(found, 1)
    # hits: cardiomegaly; missed: effusion, consolidation, pneumonia; false: edema; and "No Finding" of the second
    assert found["chest-findings-f1"]["pooled"]["micro-f1-14"]["mean"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 4))
    assert found["chest-findings-f1"]["mean"] == pytest.approx((2 / 3 + 1 + 0 + 0) / 4)
    assert found["chair"]["pooled"]["chair"]["mean"] == pytest.approx(1 / 2)
    assert found["chair"]["pooled"]["recall"]["mean"] == pytest.approx(1 / 4)
    assert found["chest-findings-f1"]["pooled"]["f1 Fracture"] is None
    json.dumps(result.scores, allow_nan=False)


def test_a_comparison_leaves_out_what_cannot_run(tmp_path, result, monkeypatch):
    path = result.out / "scores.json"
    scores = json.loads(path.read_text())
    scores["conditions"]["real"]["protocols"]["bertscore"] = {"version": "1 (no encoder)"}
    path.write_text(json.dumps(scores))
    found = compare_runs(result.out, result.out)["protocols"]
    assert set(found) == {"bleu-4", "cider", "chest-findings-f1", "chair"}
    assert all(entry["difference"] == 0 for entry in found.values())
    assert not protocols.can_run("bertscore")
    assert not protocols.can_run("llm-of-somebody")
    with pytest.raises(EvaluationError, match="bertscore cannot run here: no encoder"):
        score_items(protocols.get("bertscore"), [], {})


def test_the_page_shows_corpus_scores(result):
    page = result.report.read_text()
    assert "chair by corpus score" in page
    assert "micro-f1-14" in page
    assert "bertscore was left out" in page
