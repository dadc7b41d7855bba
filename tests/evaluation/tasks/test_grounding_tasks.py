"""Grounding tasks end to end: what becomes an item, scores of right and wrong boxes, controls, formats, comparison."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from osler.boxes import Box, iou
from osler.errors import BoxError, EvaluationError, RecordError
from osler.evaluation import compare_runs, evaluate, score_answers, tasks
from osler.evaluation.predictions import read_predictions
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.tasks.region_items import image_size
from osler.instruct.abnormality import abnormality_records
from osler.record_files import read_records

from .grounding_data import SIZE, Sure, record, write

QUESTION = "Is there an abnormality in this image? If so, give its location and name it."
KINDS = ("cyst", "mass", "scar")
DOCS = Path(__file__).resolve().parents[3] / "docs"


def placed(number, split="test"):
    """One region, or two, or none, in turn, at places that do not overlap between neighbouring pictures."""
    if number % 4 == 3:
        return []
    left = 10 + 60 * (number % 3)
    first = (KINDS[number % 3], (left, 10, left + 40, 50))
    return [first, (KINDS[(number + 1) % 3], (left, 60, left + 30, 90))] if number % 4 == 2 else [first]


@pytest.fixture
def scans(tmp_path):
    """8 test and 8 training pictures, two records each."""
    folder = tmp_path / "scans"
    for split in ("test", "train"):
        rows = [record(i, placed(i), split=split, source="phantom") for i in range(8)]
        again = [record(i, placed(i), split=split, source="phantom", question="which organ ?") for i in range(8)]
        write(folder, split, [*rows, *again])
    return folder


def run(runner, task, folder, out, **options):
    return evaluate(runner, task, data=folder, out=out, batch_size=4, progress=False, **options)


def real(result, name):
    return result.scores["conditions"]["real"]["protocols"][name]


def test_each_picture_becomes_one_question(scans):
    task = tasks.get("phantom-grounding")
    items = task.load(scans, split="test", convention="files")
    assert len(items) == 8
    assert {item.question for item in items} == {QUESTION}
    answers = [item.answer for item in items]
    assert answers[0] == (
        "There is an abnormality. It lies at <box>(50,100),(250,500)</box>. This is consistent with cyst."
    )
    assert answers[2].startswith("There are two abnormalities. One lies at <box>(650,100),(850,500)</box>. This is")
    assert answers[3] == "There is no abnormality."
    assert {task.options(item) for item in items} == {KINDS}
    assert task.validate(items) == []
    assert task.select(items) == items
    raw = list(read_records(scans / "train.jsonl"))
    assert {item.tags["question_type"] for item in task.select(raw)} == {"abnormality"}


def test_right_answers_score_what_rounding_leaves(scans, tmp_path):
    result = run(Sure("phantom-grounding", scans), "phantom-grounding", scans, tmp_path / "out")
    for name in ("grounding-iou", "grounding-dice", "grounding-labelled"):
        assert real(result, name)["mean"] == pytest.approx(1)
    assert real(result, "grounding-acc50")["mean"] == real(result, "recognition-strict")["mean"] == 1
    assert (real(result, "recognition-strict")["n"], real(result, "recognition-lenient")["n"]) == (8, 6)
    found = real(result, "grounding-acc50")
    assert (found["failures"], found["denominator"], found["clusters"]) == (0, 8, 8)
    pooled = found["pooled"]
    assert (pooled["tp"], pooled["predicted"], pooled["true"], pooled["recall"]["mean"]) == (8, 8, 8, 1)
    presence = real(result, "grounding-iou")["by_presence"]
    assert (presence["with_region"]["n"], presence["without_region"]["n"]) == (6, 2)
    classes = real(result, "grounding-labelled")["by_class"]
    assert {name: entry["true"] for name, entry in classes.items()} == {"cyst": 3, "mass": 3, "scar": 2}
    assert result.scores["boxes"] == {
        "formats": ["norm1000_xyxy"], "items_without_region": 2, "reference_iou": pytest.approx(1),
    }  # fmt: skip
    choices = real(result, "recognition-strict")["choices"]
    assert (choices["balanced_accuracy"]["mean"], choices["chance"]) == (1, pytest.approx(4 / 8 / 3))
    assert "choices" not in real(result, "grounding-labelled")


def test_wrong_answers(scans, tmp_path):
    def shifted(text):
        return re.sub(r"\((\d+),", lambda match: f"({int(match[1]) - 50},", text)

    moved = run(Sure("phantom-grounding", scans, spoil=shifted), "phantom-grounding", scans, tmp_path / "moved")
    # width 40 of 200 pixels, moved by 10: 30 / 50
    truth = real(moved, "grounding-iou")["by_presence"]["with_region"]["mean"]
    assert 0.5 < truth < 0.61
    assert real(moved, "grounding-acc50")["mean"] > 0.8

    broken = run(
        Sure("phantom-grounding", scans, spoil=lambda text: text.replace("),(", ",")), "phantom-grounding", scans,
        tmp_path / "broken", controls=(),
    )  # fmt: skip
    assert real(broken, "grounding-iou")["mean"] == 1  # the tags are enough
    lost = run(
        Sure("phantom-grounding", scans, spoil=lambda text: re.sub(r"<box>.*?</box>", "<box>(1,2)</box>", text)),
        "phantom-grounding", scans, tmp_path / "lost", controls=(),
    )  # fmt: skip
    entry = real(lost, "grounding-acc50")
    assert (entry["failures"], entry["denominator"], entry["mean"]) == (6, 8, 0.25)
    assert (entry["pooled"]["true"], entry["pooled"]["precision"], entry["pooled"]["recall"]["mean"]) == (8, None, 0)
    assert real(lost, "recognition-strict")["mean"] == 1


def test_controls_are_made_from_training_boxes(scans, tmp_path):
    result = run(Sure("phantom-grounding", scans), "phantom-grounding", scans, tmp_path / "out")
    assert set(result.scores["conditions"]) == {"real", "blank", "shuffled", "majority", "centre-box", "mean-box"}
    said = {p.condition: p.answer for p in result.predictions if p.condition.endswith("-box")}
    # eight training boxes: six of 40 x 40 and two of 30 x 30 on 200 x 100 pixels; cyst and mass are equally common
    assert said["centre-box"] == (
        "There is an abnormality. It lies at <box>(400,300),(600,700)</box>. This is consistent with cyst."
    )
    lefts = [10 + 60 * (i % 3) for i in (0, 1, 2, 4, 5, 6)] + [10 + 60 * (i % 3) for i in (2, 6)]
    x1 = sum(lefts) / 8 / 200 * 1000
    assert f"<box>({x1:.0f}," in said["mean-box"]
    assert result.scores["controls"]["mean-box"] == {
        "computed_on": "training records", "training_records": 8, "by": "data set", "fall_backs": 0,
    }  # fmt: skip
    blank = result.scores["conditions"]["blank"]["protocols"]["grounding-iou"]["by_presence"]
    assert blank["with_region"]["mean"] == 0
    majority = {p.answer for p in result.predictions if p.condition == "majority"}
    assert majority == {"There is no abnormality."}  # the commonest set of classes: two pictures show nothing


def test_shuffled_images_have_their_boxes_and_classes_elsewhere(scans, tmp_path):
    task = tasks.get("phantom-grounding")
    result = run(Sure(task, scans), task, scans, tmp_path / "out", controls=("shuffled",))
    items = {item.id: item for item in task.load(scans, split="test", convention="files")}
    shown = [(items[p.item], items[p.shown]) for p in result.predictions if p.condition == "shuffled"]
    assert shown
    for own, other in shown:
        assert own.subject != other.subject
        assert not {r.label for r in own.regions} & {r.label for r in other.regions}
        assert all(iou(a.box, b.box) <= 0.1 for a in own.regions for b in other.regions)
    scores = result.scores["conditions"]["shuffled"]["protocols"]
    assert scores["grounding-labelled"]["mean"] == scores["recognition-strict"]["mean"] == 0
    counts = result.scores["controls"]["shuffled"]
    assert counts["paired"] + counts["without_partner"] == 8


def test_without_training_records(scans, tmp_path):
    (scans / "train.jsonl").unlink()
    result = run(Sure("phantom-grounding", scans), "phantom-grounding", scans, tmp_path / "out")
    assert set(result.scores["conditions"]) == {"real", "blank", "shuffled", "centre-box"}
    said = {p.answer for p in result.predictions if p.condition == "centre-box"}
    assert said == {"There is an abnormality. It lies at <box>(250,250),(750,750)</box>."}
    warnings = " ".join(result.scores["warnings"])
    assert "mean-box control was not run" in warnings
    assert "majority control was not run" in warnings


@pytest.mark.parametrize("box_format", ["norm100_xyxy", "pixel_xyxy", "norm1_xyxy", "llava_square"])
def test_a_model_of_another_family(scans, tmp_path, box_format):
    name = "phantom-grounding"
    runner = Sure(name, scans, box_format=box_format)
    result = run(runner, name, scans, tmp_path / "other", box_format=box_format)
    assert real(result, "grounding-iou")["mean"] > 0.95
    assert result.scores["boxes"]["formats"] == [box_format]
    control = next(p for p in result.predictions if p.condition == "centre-box")
    assert len(control.regions.stated(control.answer).items) == 1
    # the same benchmark: runs in two formats can be compared, each read in its own
    plain = run(Sure(name, scans), name, scans, tmp_path / "plain", controls=())
    found = compare_runs(tmp_path / "plain", tmp_path / "other")
    assert (found["items"], plain.scores["data_hash"]) == (8, result.scores["data_hash"])
    assert found["settings_that_differ"] == ["box_format"]
    difference = found["protocols"]["grounding-iou"]
    assert difference["first_mean"] == pytest.approx(1)
    assert difference["second_mean"] == pytest.approx(real(result, "grounding-iou")["mean"])
    assert found["protocols"]["recognition-strict"]["mcnemar"]["p_value"] == 1
    with pytest.raises(EvaluationError, match="box_format"):
        run(runner, name, scans, tmp_path / "other", controls=())


def test_a_wrong_format_is_told(scans, tmp_path, record_folder):
    with pytest.raises(BoxError, match="box format 'norm10' is unknown"):
        run(None, "phantom-grounding", scans, tmp_path / "out", box_format="norm10")
    with pytest.raises(EvaluationError, match="task records has no boxes"):
        run(None, "records", record_folder, tmp_path / "out", box_format="norm100_xyxy")
    with pytest.raises(EvaluationError, match="task records: no control 'mean-box'"):
        run(None, "records", record_folder, tmp_path / "out", controls=("mean-box",))


def test_answer_files(scans, tmp_path):
    task = tasks.get("phantom-grounding")
    gold = {item.id: item.answer for item in task.load(scans, split="test", convention="files")}
    first = next(iter(gold))
    del gold[first]
    (tmp_path / "answers.json").write_text(json.dumps(gold))
    result = score_answers(tmp_path / "answers.json", task, data=scans, out=tmp_path / "out", allow_incomplete=True)
    assert set(result.scores["conditions"]) == {"real", "majority", "centre-box", "mean-box"}
    entry = real(result, "grounding-acc50")
    assert (entry["mean"], entry["missing"], entry["pooled"]["true"]) == (7 / 8, 1, 8)


def test_predictions_keep_what_scoring_needs_and_older_ones_are_read(scans, tmp_path):
    run(Sure("phantom-grounding", scans), "phantom-grounding", scans, tmp_path / "out", controls=())
    kept = read_predictions(tmp_path / "out" / "predictions.jsonl")
    regions = next(p.regions for p in kept if p.regions.boxes)
    assert isinstance(regions, Regions)
    assert regions.boxes[0].width == SIZE[0]
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    older = [{k: v for k, v in json.loads(line).items() if k not in ("regions", "options")} for line in lines]
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in older))
    assert {p.regions for p in read_predictions(tmp_path / "old.jsonl")} == {None}
    broken = json.loads(lines[0])
    broken["regions"] = {"boxes": [[1, 2]]}
    (tmp_path / "bad.jsonl").write_text(json.dumps(broken) + "\n")
    with pytest.raises(EvaluationError, match=r"bad\.jsonl:1: not a prediction"):
        read_predictions(tmp_path / "bad.jsonl")


def test_abnormality_with_and_without_the_region(tmp_path):
    folder = tmp_path / "mau"
    raw = {
        split: [
            *(record(i, placed(i) or [("scar", (0, 0, 30, 30))], split=split, source="alpha") for i in range(4)),
            *(record(i, [("mass", (i, 10, 90, 80))], split=split, source="beta") for i in range(4, 8)),
        ]
        for split in ("test", "train")
    }
    for split, records in raw.items():
        ready = [
            *abnormality_records(records, box_format="norm100_xyxy", synonyms={"scar": ["cicatrice"]}),
            *abnormality_records(records, box_format="norm100_xyxy", given_region=True),
        ]
        write(folder, split, ready)

    def spoil(text):
        given = "lies" not in text
        return text.replace("mass", "scar") if not given else text.replace("scar", "cicatrice")

    result = run(Sure("abnormality", folder, spoil=spoil), "abnormality", folder, tmp_path / "out")
    entry = real(result, "recognition-strict")["by_dataset"]
    assert set(entry) == {"abnormality", "region"}
    assert {name: found["n"] for name, found in entry["region"]["datasets"].items()} == {"alpha": 5, "beta": 4}
    assert entry["region"]["macro"]["mean"] == 1  # the synonym counts
    assert entry["abnormality"]["datasets"]["beta"]["mean"] == 0
    alpha = entry["abnormality"]["datasets"]["alpha"]["mean"]
    assert entry["abnormality"]["macro"]["mean"] == pytest.approx(alpha / 2)
    assert entry["abnormality"]["macro"]["low"] <= alpha / 2 <= entry["abnormality"]["macro"]["high"]
    assert real(result, "grounding-iou")["n"] == 8  # where the region is given none is asked for
    said = {(p.question_type, p.answer) for p in result.predictions if p.condition == "mean-box"}
    assert ("region", "This is consistent with mass.") in said
    page = result.report.read_text()
    assert "Recognition with and without the region given" in page
    assert "region given" in page
    other = run(
        Sure("abnormality", folder, box_format="norm1000_xyxy"), "abnormality", folder, tmp_path / "other",
        box_format="norm1000_xyxy", controls=(),
    )  # fmt: skip
    assert real(other, "recognition-strict")["mean"] == 1
    assert any("<box>" in p.question for p in other.predictions if p.question_type == "region")


def test_synonyms_of_the_folder(scans):
    (scans / "synonyms.json").write_text('{"cyst": ["fluid pocket"]}')
    items = tasks.get("phantom-grounding").load(scans, split="test", convention="files")
    assert tasks.get("phantom-grounding").regions(items[0]).synonyms == {"fluid pocket": "cyst"}
    for content, error, match in (
        ('["cyst"]', EvaluationError, "want {class"),
        ("{", EvaluationError, "cannot be read"),
        ('{"cyst": ["x"], "mass": ["x"]}', RecordError, "'x' stands for both"),
    ):
        (scans / "synonyms.json").write_text(content)
        with pytest.raises(error, match=match):
            tasks.get("phantom-grounding").load(scans, split="test", convention="files")


def test_items_that_cannot_be_scored_are_named(scans):
    task = tasks.get("phantom-grounding")
    items = task.load(scans, split="test", convention="files")

    def reasons(item):
        return [problem.reason for problem in task.validate([item])]

    tagged = items[0].model_copy(update={"tags": {**items[0].tags, "box_format": "norm10"}})
    assert "box format 'norm10' is unknown" in reasons(tagged)[0]
    sizeless = items[3].model_copy(update={"images": (items[3].images[0].model_copy(update={"width": None}),)})
    assert image_size(sizeless) is None
    assert "width and height" in reasons(sizeless)[0]
    less = items[2].model_copy(update={"regions": items[2].regions[:1]})
    assert "states 2 boxes (norm1000_xyxy), true are 1" in reasons(less)[0]


def test_bccd_conventions(tmp_path):
    folder = tmp_path / "cells"
    cells = [("WBC", (10, 10, 60, 60)), ("RBC", (70, 10, 110, 50)), ("RBC", (120, 10, 160, 50))]
    lost = record(2, [("RBC", (0, 0, 20, 20))])
    lost = lost.model_copy(update={"provenance": lost.provenance.model_copy(update={"notes": {"boxes_set_aside": 1}})})
    write(folder, "test", [record(0, cells), record(1, cells[1:]), lost])
    task = tasks.get("bccd-grounding")
    assert task.conventions[0] == "wbc"
    white = task.load(folder, split="test", convention="wbc")
    assert [[region.label for region in item.regions] for item in white] == [["WBC"], []]  # the third is not sure
    everything = task.load(folder, split="test", convention="all")
    assert [len(item.regions) for item in everything] == [3, 2, 1]
    assert task.validate(white) == task.validate(everything) == []


def test_sample_lesions_takes_only_pictures_that_were_looked_at(tmp_path):
    folder = tmp_path / "sample"
    asked = {"question_type": "tumour_mr"}
    rows = [
        record(0, [("tumour", (10, 10, 50, 50))], question="a tumour ?", answer="Yes, there is.", **asked),
        record(0, question="which organ ?", question_type="organ"),
        record(1, question="a tumour ?", answer="No.", **asked),
        record(2, question="which organ ?", question_type="organ"),
    ]
    write(folder, "test", rows)
    items = tasks.get("sample-lesions").load(folder, split="test", convention="files")
    assert [(item.images[0].path, len(item.regions)) for item in items] == [("test-0.png", 1), ("test-1.png", 0)]
    assert tasks.get("sample-lesions").options(items[0]) == ("tumour",)


def test_ms_cxr_phrases(tmp_path):
    folder = tmp_path / "cxr"
    two = [("Edema", (10, 10, 50, 50)), ("Edema", (100, 10, 150, 50))]
    rows = [
        record(0, two, phrase="patchy haze"),
        record(1, [("Pneumonia", (60, 20, 90, 80))], phrase="left base"),
        record(2, two[:1]),
    ]
    write(folder, "test", rows)
    task = tasks.get("ms-cxr")
    merged = task.load(folder, split="test", convention="merged")
    assert [item.question for item in merged] == [
        "give me the location of patchy haze", "give me the location of left base",
    ]  # fmt: skip
    assert [len(item.regions) for item in merged] == [2, 1]
    assert [len(item.regions) for item in task.load(folder, split="test", convention="per-row")] == [1, 1, 1]
    result = run(Sure(task, folder), task, folder, tmp_path / "out")
    assert set(result.scores["conditions"]["real"]["protocols"]) == {
        "grounding-iou", "grounding-acc50", "grounding-dice",
    }  # fmt: skip
    assert {name: e["mean"] for name, e in real(result, "grounding-iou")["by_tag"]["category"].items()} == {
        "Edema": pytest.approx(1), "Pneumonia": pytest.approx(1),
    }  # fmt: skip
    centre = {p.answer for p in result.predictions if p.condition == "centre-box"}
    assert centre == {"<box>(250,250),(750,750)</box>"}


def test_refcoco_json(tmp_path):
    folder = tmp_path / "ref"
    write(folder, "test", [record(0), record(1)])
    (folder / "test.jsonl").unlink()
    row = {"image": "test-0.png", "width": 200, "height": 100, "bbox": [10, 20, 50, 60]}
    rows = [{**row, "expression": "left cat"}, {**row, "sent": "a dog", "image": "test-1.png"}]
    (folder / "test.json").write_text(json.dumps([*rows, rows[0]]))
    task = tasks.get("refcoco-json")
    corners = task.load(folder, split="test", convention="xyxy")
    assert [item.regions[0].box for item in corners] == [Box(10, 20, 50, 60, 200, 100)] * 2
    sized = task.load(folder, split="test", convention="xywh")
    assert sized[0].regions[0].box == Box(10, 20, 60, 80, 200, 100)
    result = run(Sure(task, folder), task, folder, tmp_path / "out", controls=("centre-box",))
    assert real(result, "grounding-acc50")["mean"] == 1
    (folder / "dev.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in rows))
    assert len(task.load(folder, split="dev", convention="xyxy")) == 2
    for bad, match in (
        ({**row, "expression": "x", "bbox": [10, 20, 190]}, "row 1: bbox is"),
        ({**row, "expression": "x", "bbox": [50, 20, 10, 60]}, r"is it the other convention"),
        ({**row, "expression": ""}, "row 1: want image, width"),
        ("cat", "row 1: is a str"),
    ):
        (folder / "test.json").write_text(json.dumps([bad]))
        with pytest.raises(EvaluationError, match=match):
            task.load(folder, split="test", convention="xyxy")
    (folder / "test.json").write_text("{}")
    with pytest.raises(EvaluationError, match="want a list"):
        task.load(folder, split="test", convention="xyxy")


def test_report_draws_boxes_and_tells_iou(scans, tmp_path):
    result = run(Sure("phantom-grounding", scans), "phantom-grounding", scans, tmp_path / "out")
    page = result.report.read_text()
    assert len(re.findall(r'<img src="data:image/jpeg', page)) == 6
    for wanted in (
        "IoU 1.00 (best)",
        "(middle)",
        "(worst)",
        "By class",
        "Boxes found",
        "real − centre box",
        "mean box",
    ):
        assert wanted in page, wanted


def test_the_schema_names_every_field(scans, tmp_path):
    result = run(Sure("phantom-grounding", scans), "phantom-grounding", scans, tmp_path / "out")
    text = (DOCS / "schema_scores.md").read_text()
    named = {*result.scores, *result.scores["boxes"], *result.scores["controls"]["mean-box"]}
    for entry in result.scores["conditions"]["real"]["protocols"].values():
        named |= {*entry, *entry["details"], *entry["by_presence"], *entry.get("pooled", {})}
        named |= {field for found in entry.get("by_class", {}).values() for field in found}
    named |= set(json.loads((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()[0])["regions"])
    named -= {"precision", "recall", "f1"}  # named in a list
    assert not [name for name in sorted(named) if not re.search(rf"[`.]{name}[`.]", text)]
