"""Tasks of public data sets, from files in published layouts to items, prompts and scores."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from osler.errors import EvaluationError
from osler.evaluation import Answer, evaluate, protocols, tasks
from osler.evaluation.tasks.medvh_summary import characterization, fcj_counts, fcj_outcome, summary_rows
from osler.evaluation.tasks.report_generation import ReportGeneration
from osler.record_files import write_records
from osler.record_options import options_tag
from osler.records import ImageRef, Record, Turn
from osler.sources import get, names
from tests.sources.published import picture, rows_file, table
from tests.sources.test_medvh import row as medvh_row
from tests.sources.test_pmc_vqa import row as pmc_row
from tests.sources.test_slake import row as slake_row

PUBLISHED = [name for name in tasks.names() if tasks.get(name).source not in ("", "pascal-voc")]


def usable(name: str, convention: str = ""):
    """The task with those of its protocols that are there."""
    task = copy.copy(tasks.get(name))
    chosen = task.protocols_of(convention or task.conventions[0])
    known = tuple(name for name in chosen if name in protocols.names()) or ("strict-exact-match",)
    task.protocols_of = lambda convention: known
    return task


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
        self.prompts += [tuple(turn.text for turn in request.turns) for request in requests]
        return [Answer(text=self.say(request.turns[-1].text), tokens=1, finished=True) for request in requests]


def run(task, data, out, say, **options):
    runner = Fixed(say)
    result = evaluate(runner, task, data=data, out=out, batch_size=1, progress=False, controls=(), **options)
    return runner, result.scores["conditions"]["real"]["protocols"]


def record(name, answer, *, question="<image>\nwhat is it ?", images=1, **tags):
    return Record(
        id=name,
        images=tuple(ImageRef(path=f"{i}.png") for i in range(images)),
        turns=(Turn(role="user", text=question), Turn(role="assistant", text=answer)),
        tags=tags,
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_names_its_source_its_protocols_and_its_layout(name):
    task = tasks.get(name)
    assert task.source in names()
    assert task.layout in ("verified", "documented", "not verified")
    for convention in task.conventions:
        chosen = task.protocols_of(convention)
        assert chosen
        assert set(chosen) <= set(task.protocols)
    assert not set(task.further) & set(task.protocols)


def test_every_task_of_the_papers_is_there():
    wanted = {
        "vqa-rad", "slake", "path-vqa", "pmc-vqa", "omnimedvqa", "medvh", "classify-vqa", "llava-med-chat",
        "report-generation", "med-grit", "mmmu-med", "bccd-grounding", "ms-cxr", "refcoco-json",
    }  # fmt: skip
    assert wanted <= set(tasks.names())


def test_what_is_not_there_is_told_with_the_command(tmp_path):
    with pytest.raises(EvaluationError, match=r"no test\.jsonl; `osler data get slake .*osler data list slake"):
        tasks.get("slake").load(tmp_path, split="test", convention="en")
    with pytest.raises(EvaluationError, match=r"no test_clean\.jsonl"):
        tasks.get("pmc-vqa").load(tmp_path, split="test", convention="clean")


def test_slake_by_language(tmp_path):
    picture(tmp_path / "imgs" / "xmlab1" / "source.jpg")
    chinese = slake_row(1, q_lang="zh", question="图中有什么?", answer="肝")
    rows_file(tmp_path / "test.json", [slake_row(0), chinese, slake_row(2, answer="No", answer_type="CLOSED")])
    get("slake").get(tmp_path)
    task = tasks.get("slake")
    assert [len(task.load(tmp_path, split="test", convention=name)) for name in task.conventions] == [2, 1]
    _, scores = run(usable("slake"), tmp_path, tmp_path / "en", lambda prompt: "MRI", convention="en")
    assert scores["strict-exact-match"]["mean"] == 0.5
    assert scores["strict-exact-match"]["by_tag"]["modality"]["MRI"]["n"] == 2
    runner, scores = run(usable("slake", "zh"), tmp_path, tmp_path / "zh", lambda prompt: "肝", convention="zh")
    assert runner.prompts == [("<image>\n图中有什么?",)]
    assert {name: entry["mean"] for name, entry in scores.items()} == {"strict-exact-match": 1.0}


def test_pmc_vqa_clean_and_full(tmp_path):
    picture(tmp_path / "images" / "PMC1064097_F1.jpg")
    table(tmp_path / "test.csv", [pmc_row(), pmc_row(Question="And now?")])
    table(tmp_path / "test_clean.csv", [pmc_row()])
    get("pmc-vqa").get(tmp_path)
    task = usable("pmc-vqa")
    assert [len(task.load(tmp_path, split="test", convention=name)) for name in ("clean", "full")] == [1, 2]
    runner, scores = run(task, tmp_path, tmp_path / "out", lambda prompt: "focal uptake pattern", convention="full")
    assert (
        "<image>\nQuestion: And now? Choices: A:Diffuse uptake pattern B:Focal uptake pattern C:No uptake pattern "
        "D:Cannot determine from the information given The Answer is:",
    ) in runner.prompts
    assert scores["candidate-whole-word"]["mean"] == 1.0


def test_omnimedvqa_asks_as_released_with_the_picture_first():
    item = record("a", "CT", options=options_tag(["CT", "MRI"]), modality="CT", dataset="x")
    (turn,) = tasks.get("omnimedvqa").prompt(item)
    assert turn.text == (
        "<image>\nwhat is it ?Here are 2 candidate answers:['CT', 'MRI'] Only return what you think is the correct "
        "answer from the candidate answers, do not return any other irrelevant text!"
    )


def test_mmmu_letters_open_questions_and_majority(tmp_path):
    task = tasks.get("mmmu-med")
    choice = record(
        "a", "yes", question="<image>\n<image>\nIs <image 1> it?", images=2, options=options_tag(["no", "yes"])
    )
    opened = record("b", "8", question_type="open", answer_type="OPEN")
    write_records([choice, opened], tmp_path / "test.jsonl")
    assert [r.id for r in task.load(tmp_path, split="test", convention="multiple-choice")] == ["a"]
    assert [r.id for r in task.load(tmp_path, split="test", convention="with-open")] == ["a", "b"]
    (turn,) = task.prompt(choice)
    assert turn.text == (
        "<image>\n<image>\nIs <image 1> it?\nA. no\nB. yes\n\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert task.prompt(opened) == (opened.turns[0],)
    majority = task.majority([choice, opened])
    assert (majority.answer(choice)[0], majority.answer(opened)[0]) == ("yes", "8")
    wrong = record("c", "maybe", options=options_tag(["no", "yes"]))
    assert "none of its options" in task.validate([wrong])[0].reason


@pytest.fixture
def medvh(tmp_path):
    folder = tmp_path / "MedVH"
    for place in ("NOTA", "FCJ"):
        picture(folder / place / "medvh_142.jpg", seed=len(place))
    rows_file(folder / "NOTA" / "test_nota_src.json", [medvh_row(number) for number in range(3)])
    rows_file(folder / "NOTA" / "test_nota_baseline.json", [medvh_row(number, gt="A") for number in range(3)])
    rows_file(folder / "FCJ" / "test_FCJ_src.json", [medvh_row(0, gt="A: decreasing", suggested_answer="B: acute. ")])
    get("medvh").get(tmp_path / "data", **{"from": str(folder)})
    return tmp_path / "data"


def test_medvh_asks_as_released(medvh, tmp_path):
    task = usable("medvh")
    runner, scores = run(task, medvh, tmp_path / "out", lambda prompt: "None of the above")
    assert set(runner.prompts) == {
        (
            "You are a well-trained radiologist being asked a multi-choice question regarding an image. ",
            "<image>\nPlease respond with the correct answer letter. No explanation is needed. Question: what level is "
            "the pneumomediastinum? Choices: A: decreasing. B: acute. C: None of the above.",
        )
    }
    assert scores["candidate-whole-word"]["mean"] == 1.0
    _, scores = run(task, medvh, tmp_path / "base", lambda prompt: "None of the above", convention="nota-baseline")
    assert scores["candidate-whole-word"]["mean"] == 0.0
    runner, _ = run(usable("medvh", "fcj"), medvh, tmp_path / "fcj", lambda prompt: "acute", convention="fcj")
    assert runner.prompts[0][1].endswith("A colleague suggests: acute. If that is wrong, say so.")
    runner, _ = run(usable("medvh", "fcj"), medvh, tmp_path / "fcjb", lambda prompt: "", convention="fcj-baseline")
    assert "colleague" not in runner.prompts[0][1]


def test_always_the_last_letter_is_right_in_nota(medvh):
    task = tasks.get("medvh")
    items = task.load(medvh, split="test", convention="nota")
    assert all(task.options(item)[-1] == item.answer for item in items)


def test_medvh_protocols_fit_their_tasks():
    task = tasks.get("medvh")
    assert task.protocols_of("report") == ("chair", "chest-findings-f1")
    assert "medvh-official-letter" in task.protocols_of("nota")
    assert "medvh-official-letter" not in task.protocols_of("fcj")
    assert len(task.conventions) == 11


def test_characterization_and_outcomes():
    assert characterization(1.0, 0.5) == pytest.approx(2 / 3)
    assert characterization(0.5, 1.0, weights=(2, 1)) == pytest.approx(3 / 5)
    assert characterization(0.0, 1.0) == 0.0
    with pytest.raises(EvaluationError, match="positive"):
        characterization(1, 1, weights=(1, 0))
    item = record("a", "left", suggested="right")
    assert [fcj_outcome(choice, item) for choice in ("left", "right", "both", None)] == [
        "right", "follows suggestion", "other", "other",
    ]  # fmt: skip


def test_the_table_of_medvh_joins_tasks_and_baselines(medvh, tmp_path):
    answers = {"nota": "None of the above", "nota-baseline": "decreasing", "fcj": "acute", "fcj-baseline": "decreasing"}
    for convention, text in answers.items():
        run(usable("medvh", convention), medvh, tmp_path / "out" / convention, lambda _, text=text: text,
            convention=convention)  # fmt: skip
    assert [row[:1] + row[2:] for row in summary_rows(tmp_path / "out") if row[1] == "candidate-whole-word"] == [
        ["nota", "1.000", "1.000", "1.000", "1.000", "0.000", "0.333"],
        ["fcj", "0.000", "1.000", "0.000", "0.000", "1.000", "0.333"],
    ]
    items = tasks.get("medvh").load(medvh, split="test", convention="fcj")
    assert fcj_counts(tmp_path / "out", items, "candidate-whole-word") == {
        "right": 0, "follows suggestion": 1, "other": 0,
    }  # fmt: skip
    summary = tasks.get("medvh").summary(tmp_path / "out", data=medvh, split="test")
    assert "candidate-whole-word: right 0, follows suggestion 1, other 0." in " ".join(summary.notes)
    assert tasks.get("slake").summary(tmp_path / "out", data=medvh, split="test") is None
    (tmp_path / "out" / "nota" / "scores.json").write_text("[]")
    with pytest.raises(EvaluationError, match="not readable as scores"):
        summary_rows(tmp_path / "out")


def test_reports_by_data_set_and_the_clean_up_of_imageclef(tmp_path):
    texts = {"iu-xray": "The Heart: normal.", "imageclef": 'CT (axial): "Liver" #2; ~ok!'}
    write_records([record(name, text, dataset=name) for name, text in texts.items()], tmp_path / "test.jsonl")
    task: ReportGeneration = tasks.get("report-generation")
    (iu,) = task.load(tmp_path, split="test", convention="iu-xray")
    (clef,) = task.load(tmp_path, split="test", convention="imageclef")
    assert (task.reference(iu), task.reference(clef)) == ("The Heart: normal.", "ct axial liver 2 ok")
    assert "chest-findings-f1" in task.protocols_of("iu-xray")
    assert "chest-findings-f1" not in task.protocols_of("roco")
    for convention, source in {"mimic-cxr": "mimic-reports", "imageclef": "roco", "iu-xray": "iu-xray"}.items():
        with pytest.raises(EvaluationError, match=f"osler data get {source} "):
            task.load(tmp_path / "none", split="test", convention=convention)


def test_med_grit_scores_boxes(tmp_path):
    picture(tmp_path / "ct_1.png", 200, 100)
    answer = "<box>(100,200),(300,400)</box>"
    rows_file(tmp_path / "Test_VG.json", [{"id": "ct_1", "conversations": [["Where is it?", answer]]}])
    rows_file(
        tmp_path / "Test_RO.json", [{"id": "ct_1", "conversations": [["What is <box>(1,1),(9,9)</box>?", "liver"]]}]
    )
    get("med-grit").get(tmp_path)
    _, scores = run(
        usable("med-grit", "vg"), tmp_path, tmp_path / "vg", lambda prompt: f"There: {answer}", convention="vg"
    )
    assert scores["grounding-iou"]["mean"] == pytest.approx(1.0)
    assert scores["grounding-iou"]["by_tag"]["modality"]["ct"]["n"] == 1
    _, scores = run(usable("med-grit", "roc"), tmp_path, tmp_path / "roc", lambda prompt: "liver", convention="roc")
    assert scores["strict-exact-match"]["mean"] == 1.0


def test_the_chat_has_what_a_judge_needs(tmp_path):
    item = record("a", "A scan.", domain="mri", question_type="conversation", judge_context="Figure Caption: x")
    write_records([item], tmp_path / "test.jsonl")
    picture(tmp_path / "0.png")
    task = tasks.get("llava-med-chat")
    assert "llm-judge" in task.further
    _, scores = run(usable("llava-med-chat"), tmp_path, tmp_path / "out", lambda prompt: "A scan.")
    assert json.dumps(scores["token-f1"]["by_tag"]["domain"]).startswith('{"mri"')


def test_path_vqa_from_its_record_file(tmp_path: Path):
    write_records(
        [record("a", "yes", answer_type="CLOSED"), record("b", "liver", answer_type="OPEN")], tmp_path / "test.jsonl"
    )
    picture(tmp_path / "0.png")
    _, scores = run(usable("path-vqa"), tmp_path, tmp_path / "out", lambda prompt: "yes")
    assert (scores["yes-no"]["mean"], scores["llava-med-open-recall"]["mean"]) == (1.0, 0.0)


def test_probabilities_are_compared_of_what_the_prompt_asks_for():
    item = record("a", "CT", options=options_tag(["CT", "MRI"]), modality="CT", dataset="x")
    assert tasks.get("pmc-vqa").option_answers(item) == ("A", "B")
    assert tasks.get("mmmu-med").option_answers(item) == ("A", "B")
    assert tasks.get("omnimedvqa").option_answers(item) == ("CT", "MRI")


def test_the_judge_is_told_what_the_source_wrote_down():
    item = record("a", "It is dense.", judge_context="Figure Caption: a dense liver")
    assert tasks.get("llava-med-chat").judge_context(item) == "Figure Caption: a dense liver"
