from __future__ import annotations

import json
from pathlib import Path

from osler.record_files import read_records
from tests.cli.conftest import Osler


def test_eval_writes_scores_predictions_and_report_and_resumes(
    osler: Osler, model_folder: Path, records_folder: Path, tmp_path: Path
) -> None:
    arguments = ("eval", model_folder, "--task", "records", "--data", records_folder, "--out", tmp_path / "e")
    result = osler(*arguments, "--max-new-tokens", "4")
    assert result.status == 0, result.err
    scores = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert set(scores["conditions"]) == {"real", "blank", "shuffled", "majority"}
    assert (tmp_path / "e" / "report.html").read_text().startswith("<!doctype html>")
    lines = (tmp_path / "e" / "predictions.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["condition"] == "real" for line in lines) == 6
    again = osler(*arguments, "--max-new-tokens", "4")
    assert again.status == 0
    assert (tmp_path / "e" / "predictions.jsonl").read_text().splitlines() == lines
    other = osler(*arguments, "--max-new-tokens", "5")
    assert other.status == 2
    assert "Traceback" not in other.err


def test_an_answer_file_is_scored_without_a_model(osler: Osler, records_folder: Path, tmp_path: Path) -> None:
    records = list(read_records(records_folder / "test.jsonl"))
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"question_id": r.id, "text": r.answer}) + "\n" for r in records))
    result = osler("eval", "--answers", answers, "--task", "records", "--data", records_folder, "--out", tmp_path / "e")
    assert result.status == 0, result.err
    scores = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert scores["conditions"]["real"]["protocols"]["strict-exact-match"]["mean"] == 1.0
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("".join(json.dumps({"question_id": r.id, "text": "no idea"}) + "\n" for r in records))
    osler("eval", "--answers", wrong, "--task", "records", "--data", records_folder, "--out", tmp_path / "w")
    table = osler("compare", tmp_path / "e", tmp_path / "w")
    assert table.status == 0, table.err
    difference = json.loads(osler("compare", tmp_path / "e", tmp_path / "w", "--json").out)["protocols"]
    assert difference["strict-exact-match"]["difference"] == 1.0
    answers.write_text(answers.read_text().splitlines()[0] + "\n")
    result = osler("eval", "--answers", answers, "--task", "records", "--data", records_folder, "--out", tmp_path / "f")
    assert result.status == 2
    assert "5 items are missing" in result.err


def test_what_is_not_said_is_asked_for(osler: Osler, model_folder: Path, tmp_path: Path) -> None:
    assert "say --task" in osler("eval", model_folder).err
    result = osler("eval", model_folder, "--task", "vqa-rat", "--data", tmp_path, "--out", tmp_path)
    assert result.status == 2
    assert "vqa-rad" in result.err
    assert "vqa-rad" in osler("eval", "--list").out


def test_help_of_every_verb(osler: Osler) -> None:
    for verb in ("", "demo", "train", "eval", "compare", "chat", "data", "build", "import"):
        result = osler(*([verb] if verb else []), "--help")
        assert result.status == 0
        assert "Usage" in result.out


def test_boxes_in_another_format_and_pictures_elsewhere(osler: Osler, model_folder: Path, tmp_path: Path) -> None:
    from osler import box_formats
    from osler.evaluation import tasks

    assert osler("data", "get", "phantom", tmp_path / "p", "size=tiny").status == 0
    (tmp_path / "p" / "images").rename(tmp_path / "images")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "images").rename(tmp_path / "pictures" / "images")
    items = tasks.get("phantom-grounding").load(tmp_path / "p", split="test", convention="files")
    codec = box_formats.get("norm100_xyxy")
    texts = {
        item.id: " ".join(f"{codec.to_text(region.box)} {region.label}" for region in item.regions) or "none"
        for item in items
    }
    (tmp_path / "answers.json").write_text(json.dumps(texts))
    common = ("--task", "phantom-grounding", "--data", tmp_path / "p", "--images", tmp_path / "pictures")
    told = osler(
        "eval", "--answers", tmp_path / "answers.json", *common, "--box-format", "norm100_xyxy", "--out", tmp_path / "a"
    )
    assert told.status == 0, told.err
    for wanted in ("grounding-iou", "centre-box", "recall of boxes", "By class"):
        assert wanted in told.out, wanted
    scores = json.loads((tmp_path / "a" / "scores.json").read_text())
    assert scores["box_format"] == "norm100_xyxy"
    assert scores["conditions"]["real"]["protocols"]["grounding-labelled"]["mean"] > 0.9
    asked = osler("eval", model_folder, *common, "--max-new-tokens", "4", "--limit", "2", "--out", tmp_path / "m")
    assert asked.status == 0, asked.err
    assert osler("compare", tmp_path / "a", tmp_path / "a").status == 0
    refused = osler("eval", model_folder, *common, "--box-format", "norm10", "--out", tmp_path / "x")
    assert refused.status == 2
    assert "norm100_xyxy" in refused.err
