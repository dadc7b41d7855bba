"""`classify-vqa` from files in the published layout and from record files, down to scores."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from osler.errors import EvaluationError, RecordError
from osler.evaluation import Answer, compare_runs, evaluate, score_answers, tasks
from osler.evaluation.tasks.classify_vqa import classification_prompt
from osler.record_options import options_of, options_tag
from osler.records import ImageRef, Record, Turn
from osler.sources import get

SCANS = ["Chest X-ray", "CT", "MRI", "Ultrasound"]
TASK = tasks.get("classify-vqa")


def record(name, answer="CT", options=SCANS, *, image=0, dataset="Scans", kind="Modality Recognition", **tags):
    return Record(
        id=name,
        images=(ImageRef(path=f"{image}.png"),),
        turns=(Turn(role="user", text="<image>\nwhat modality is shown ?"), Turn(role="assistant", text=answer)),
        subject=f"s{image}",
        tags={"question_type": kind, "answer_type": "CLOSED", "dataset": dataset, "modality": "mixed", **tags}
        | ({"options": options_tag(options)} if options else {}),
    )


def write(folder, split, records):
    (folder / f"{split}.jsonl").write_text("".join(r.model_dump_json() + "\n" for r in records))


@pytest.fixture
def scans(tmp_path, pictures):
    """12 test items on 6 images of two data sets, and training records."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number}.png")
    scans = [record(f"scan{i}", SCANS[i % 3], image=i) for i in range(6)]
    lungs = [
        record(f"lung{i}", ["no", "yes"][i % 2], ["yes", "no"], image=i, dataset="Lungs", kind="Disease Diagnosis")
        for i in range(6)
    ]
    write(folder, "test", scans + lungs)
    train = [record(f"t{i}", "MRI", image=9) for i in range(3)]
    train += [
        record(f"u{i}", "no", ["yes", "no"], image=9, dataset="Lungs", kind="Disease Diagnosis") for i in range(3)
    ]
    train += [record("v", "Chest X-ray", image=9)]
    write(folder, "train", train)
    return folder


class Fixed:
    """Answers by the prompt alone."""

    name = "fixed"

    def __init__(self, say):
        self.say, self.prompts = say, []

    def settings(self):
        return {"decoding": "fixed"}

    def fingerprint(self):
        return "1"

    def answer(self, requests):
        self.prompts += [request.turns[-1].text for request in requests]
        return [Answer(text=self.say(request.turns[-1].text), tokens=1, finished=True) for request in requests]


def run(runner, folder, out, **options):
    return evaluate(runner, "classify-vqa", data=folder, out=out, batch_size=1, progress=False, **options)


def test_golden_prompt():
    assert classification_prompt("What imaging modality was used?", SCANS) == (
        "What imaging modality was used?Here are 4 candidate answers:['Chest X-ray', 'CT', 'MRI', 'Ultrasound'] Only "
        "return what you think is the correct answer from the candidate answers, do not return any other irrelevant "
        "text!\n<image>"
    )
    turns = TASK.prompt(record("a", options=["it's", "CT"]))
    assert [turn.role for turn in turns] == ["user"]
    assert """answers:["it's", 'CT'] Only""" in turns[0].text
    assert turns[0].text.count("<image>") == 1
    assert turns[0].text.endswith("!\n<image>")
    assert classification_prompt("?", SCANS, images=2).endswith("!\n<image>\n<image>")


def test_system_turns_stay():
    plain = record("a")
    asked = plain.model_copy(update={"turns": (Turn(role="system", text="be brief"), *plain.turns)})
    assert [turn.role for turn in TASK.prompt(asked)] == ["system", "user"]


def test_validate_gold_answers():
    good = [record(f"r{i}", text) for i, text in enumerate(SCANS)]
    good += [record("nested", "Pneumonia", ["Pneumonia", "Viral pneumonia"]), record("a", "A", ["A", "B"])]
    assert TASK.validate(good) == []
    bad = [
        record("absent", "PET"),
        record("case", "ct"),
        record("same", "CT.", ["CT.", "CT"]),
        record("none", options=None),
    ]
    found = {(problem.item, problem.protocol) for problem in TASK.validate(bad)}
    assert found == {
        ("none", None),
        ("absent", "logra-med-nearest-option"), ("absent", "candidate-whole-word"),
        ("case", "logra-med-nearest-option"),
        ("same", "candidate-whole-word"),
    }  # fmt: skip


@pytest.mark.parametrize("tag", ["CT, MRI", '"CT"', '["CT"]', '["CT", " "]', '["CT", 1]', '["CT", "CT"]', "[]"])
def test_malformed_options_are_named(tag):
    broken = record("r7", options=None)
    broken = broken.model_copy(update={"tags": {**broken.tags, "options": tag}})
    with pytest.raises(RecordError, match=r"tags\.options: record 'r7': is"):
        options_of(broken)


def test_order_of_options_survives_the_tag():
    assert options_of(record("a", options=["b", "ä", "a"])) == ("b", "ä", "a")
    assert options_of(record("a", options=None)) == ()


def test_scores_groups_and_fixed_denominator(scans, tmp_path):
    # every scan is said to be a CT; every question about lungs is refused
    runner = Fixed(lambda prompt: "I cannot tell" if "'yes'" in prompt else "It is a CT.")
    result = run(runner, scans, tmp_path / "out", controls=())
    assert all(prompt.endswith("!\n<image>") for prompt in runner.prompts)
    found = result.scores["conditions"]["real"]["protocols"]
    strict, released = found["candidate-whole-word"], found["logra-med-nearest-option"]
    assert strict["n"] == strict["denominator"] == released["denominator"] == 12
    assert (strict["failures"], strict["refusals"]) == (6, 6)
    assert (released["failures"], released["refusals"]) == (0, 0)  # "I cannot tell" counts as "no": half are right
    assert strict["mean"] == pytest.approx(2 / 12)
    assert released["mean"] == pytest.approx(5 / 12)
    groups = strict["by_tag"]
    assert set(groups) == {"dataset", "modality"}
    assert {name: (entry["mean"], entry["n"]) for name, entry in groups["dataset"].items()} == {
        "Lungs": (0.0, 6), "Scans": (pytest.approx(1 / 3), 6),
    }  # fmt: skip
    assert groups["modality"]["mixed"]["n"] == 12
    scan = groups["dataset"]["Scans"]["choices"]
    assert (scan["chance"], scan["classes"]) == (0.25, 3)
    assert scan["balanced_accuracy"]["mean"] == pytest.approx(1 / 3)
    assert scan["macro_f1"]["mean"] == pytest.approx((2 * 2 / (2 + 6)) / 3)
    assert strict["choices"]["classes"] == 5
    assert strict["choices"]["chance"] == pytest.approx((0.25 + 0.5) / 2)
    page = result.report.read_text()
    assert "candidate-whole-word by dataset" in page
    assert "candidate-whole-word by class" in page
    schema = (Path(__file__).resolve().parents[3] / "docs" / "schema_scores.md").read_text()
    for name in (*strict, *strict["choices"], *strict["choices"]["macro_f1"]):
        assert re.search(rf"[`.]{name}[`.]", schema), name


def test_missing_answers_stay_in_the_denominator(scans, tmp_path):
    gold = {r.id: r.answer for r in TASK.load(scans, split="test", convention="files")}
    gold.pop("scan0")
    gold["lung0"] = ""
    (tmp_path / "answers.json").write_text(json.dumps(gold))
    scores = score_answers(
        tmp_path / "answers.json", "classify-vqa", data=scans, out=tmp_path / "out", allow_incomplete=True
    ).scores
    for name in ("logra-med-nearest-option", "candidate-whole-word"):
        entry = scores["conditions"]["real"]["protocols"][name]
        assert (entry["denominator"], entry["failures"], entry["missing"]) == (12, 2, 1)
        assert entry["mean"] == pytest.approx(10 / 12)


def test_controls(scans, tmp_path):
    result = run(Fixed(lambda prompt: "CT"), scans, tmp_path / "out")
    answers = {p.item: p for p in result.predictions if p.condition == "majority"}
    assert {p.answer for name, p in answers.items() if name.startswith("scan")} == {"MRI"}
    assert {p.answer for name, p in answers.items() if name.startswith("lung")} == {"no"}
    assert {p.note for p in answers.values()} == {None}
    assert result.scores["controls"]["majority"]["by"].startswith("data set and question type")
    assert result.scores["controls"]["shuffled"]["paired"] == 12
    assert result.scores["same_answer"] == {"blank": 1.0, "shuffled": 1.0}


def test_majority_is_always_an_option():
    training = [
        record("a", "MRI"),
        record("b", "MRI"),
        record("c", "CT"),
        record("d", "PET", ["PET", "CT"], dataset="Z"),
    ]
    majority = TASK.majority(training)
    assert majority.answer(record("x")) == ("MRI", False)
    assert majority.answer(record("x", options=["CT", "PET"])) == ("CT", False)
    assert majority.answer(record("x", dataset="Z", kind="New", options=["CT", "PET"])) == ("PET", True)
    assert majority.answer(record("x", dataset="New", options=["PET", "MRI"])) == ("MRI", True)
    assert majority.answer(record("x", dataset="New", options=["no", "yes"])) == ("no", True)
    with pytest.raises(EvaluationError, match="never computed on the test"):
        TASK.majority([])


def test_records_without_options_are_counted_and_not_asked(scans, tmp_path):
    with (scans / "test.jsonl").open("a") as file:
        file.write(record("free", options=None).model_dump_json() + "\n")
    result = run(Fixed(lambda prompt: "CT"), scans, tmp_path / "out", controls=())
    assert result.scores["task"]["items"] == 12
    assert any(w.startswith("1 of 13 records are no items of this task") for w in result.scores["warnings"])
    write(scans, "test", [record("free", options=None)])
    with pytest.raises(EvaluationError, match=r"none of the 1 records .* want records with the tag 'options'"):
        run(Fixed(str), scans, tmp_path / "out2")


def test_a_real_model_end_to_end_and_compared(tiny_llava, scans, tmp_path):
    result = evaluate(
        tiny_llava, "classify-vqa", data=scans, out=tmp_path / "a", batch_size=4, max_new_tokens=4, progress=False
    )
    assert {p.condition for p in result.predictions} == {"real", "blank", "shuffled", "majority", "position"}
    assert len(result.predictions) == 60
    assert result.scores["decoding"]["decoding"] == "greedy"
    run(Fixed(lambda prompt: "CT"), scans, tmp_path / "b", controls=())
    # options come back from the predictions
    differences = compare_runs(tmp_path / "b", tmp_path / "a")["protocols"]
    assert differences["candidate-whole-word"]["n"] == 12
    assert differences["candidate-whole-word"]["first_mean"] == pytest.approx(2 / 12)
    assert differences["candidate-whole-word"]["mcnemar"]


def test_published_layout_is_read_and_its_bad_rows_are_set_aside_by_the_source(tmp_path, pictures):
    place = tmp_path / "QA_information" / "Open-access"
    place.mkdir(parents=True)
    (tmp_path / "Images" / "Scans").mkdir(parents=True)
    rows = []
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / "Images" / "Scans" / f"{number}.png")
        rows.append(
            {
                "dataset": "Scans", "question_id": f"Scans_{number:04}", "question_type": "Modality Recognition",
                "question": "what modality is shown ?", "gt_answer": SCANS[number % 4],
                "image_path": f"Images/Scans/{number}.png", "modality_type": "mixed",
                **dict(zip(("option_A", "option_B", "option_C", "option_D"), SCANS, strict=True)),
            }
        )  # fmt: skip
    (place / "Scans.json").write_text(json.dumps(rows))
    assert TASK.training(tmp_path, convention="files") is None
    with pytest.raises(EvaluationError, match="has no split 'dev'"):
        TASK.load(tmp_path, split="dev", convention="files")
    read = TASK.load(tmp_path, split="test", convention="files")
    assert TASK.validate(read) == []
    by_id = {f"omnimedvqa-{row['question_id']}": row["gt_answer"] for row in rows}
    (tmp_path / "answers.json").write_text(json.dumps(by_id))
    scores = score_answers(tmp_path / "answers.json", "classify-vqa", data=tmp_path, out=tmp_path / "out").scores
    assert scores["conditions"]["real"]["protocols"]["candidate-whole-word"]["mean"] == 1.0
    assert any("majority control was not run" in warning for warning in scores["warnings"])
    (place / "Scans.json").write_text(json.dumps([*rows, {**rows[0], "gt_answer": "PET"}]))
    with pytest.raises(RecordError, match=r"Scans\.json:7: gt_answer: 'PET' is none of the options"):
        TASK.load(tmp_path, split="test", convention="files")
    get("omnimedvqa").get(tmp_path)  # beside the question files; the task reads what it wrote
    assert TASK.load(tmp_path, split="test", convention="files") == read
