"""MedVH.

Keys and rows: https://github.com/dongzizhu/MedVH at bebf0f5, multi_choices/NOTA/test_nota_src.json (first row),
multi_choices/baseline_worngful_image/test_wrongful_image_baseline_src.json (rows 423, 429, 438),
text_generation/FCJ/test_FCJ_src.json (last row), text_generation/report_generation/test_report_generation_src.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.errors import RecordError
from osler.record_options import options_of
from osler.sources.medvh_choices import join_choices, right_choice, split_choices
from tests.sources.published import fetch, picture, rows_file, told

NOTA = "A: decreasing. B: acute. C: None of the above."


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "question_id": number,
        "img_id": 142,
        "img_name": "medvh_142.jpg",
        "question": "what level is the pneumomediastinum?",
        "choices": NOTA,
        "gt": "C",
        "img_source": "Medical-Diff-VQA",
        "ori_id": "8a974b55-7905aeef-de50b2d2-243b8217-904e73f2",
        **changes,
    }


def test_choices_are_split_and_joined() -> None:
    assert split_choices(NOTA) == ["decreasing", "acute", "None of the above"]
    assert join_choices(split_choices(NOTA)) == NOTA
    text = "A: vitamin B: deficiency. B: plan C: of action."
    assert split_choices(text) == ["vitamin", "deficiency. B: plan", "of action"], "letters are taken in order"
    for bad in ("no choices", "A: one", "x A: one. B: two."):
        with pytest.raises(RecordError, match="lettered choices"):
            split_choices(bad)


words = st.text(st.characters(categories=["Ll"]), min_size=1, max_size=8)


@given(st.lists(st.lists(words, min_size=1, max_size=3).map(" ".join), min_size=2, max_size=6, unique=True), st.data())
def test_what_is_joined_is_split_again_and_each_form_of_the_answer_found(
    options: list[str], data: st.DataObject
) -> None:
    assert split_choices(join_choices(options)) == options
    index = data.draw(st.integers(0, len(options) - 1))
    letter = "ABCDEF"[index]
    for form in (letter, f"{letter}.", f"{letter}: {options[index]}", f"{letter}: {options[index]}.", options[index]):
        assert right_choice({"gt": form}, options)[0] == index, form


@pytest.mark.parametrize(
    ("gt", "choices", "found"),
    [
        ("C", NOTA, (2, "letter")),
        ("None of the above.", NOTA, (2, "text")),
        ("A: small", "A: small. B: massive.", (0, "text")),
        ("B: mild", "A: minimal. B: mild to moderate. C: mild. D: mildly.", (2, "contradiction")),
        ("C: focal", "A: ground-glass. B: interstitial. C: focal linear. D: focal.", (3, "contradiction")),
        ("n: hernia", "A: consolidation, pneumothorax. B: edema. C: hernia.", (2, "contradiction")),
    ],
)
def test_right_answers_of_the_published_rows(gt: str, choices: str, found: tuple[int, str]) -> None:
    assert right_choice({"gt": gt}, split_choices(choices)) == found


@pytest.mark.parametrize("gt", ["n: Nodule", "B: something else", "D", "", None, "A: "])
def test_right_answers_that_are_none(gt: Any) -> None:
    with pytest.raises(RecordError, match="gt"):
        right_choice({"gt": gt}, split_choices(NOTA))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "MedVH"
    for number, place in enumerate(("NOTA", "wrongful_image", "baseline_worngful_image")):
        picture(folder / "multi_choices" / place / "medvh_142.jpg", seed=number)
    rows_file(folder / "multi_choices" / "NOTA" / "test_nota_src.json", [row(0), row(1, gt="None of the above.")])
    rows_file(folder / "multi_choices" / "wrongful_image" / "test_wrongful_image.json", [row(0)])
    rows_file(
        folder / "multi_choices" / "baseline_worngful_image" / "test_wrongful_image_baseline_src.json",
        [row(0, gt="B: decreasing"), row(1, gt="n: Nodule")],
    )
    fcj = row(
        0,
        choices="A: left lung. B: retrocardiac area. C: right lower lung area. D: the left lower lung.",
        gt="D: the left lower lung",
        suggested_answer="C: right lower lung area. ",
        ori_id="0f259718-6e7bfb03-aca024a3-e06caeec-e249518c.png",
    )
    rows_file(folder / "text_generation" / "FCJ" / "test_FCJ_src.json", [fcj, {**fcj, "question_id": 1, "gt": "C"}])
    report = {
        "report_id": 199,
        "src_img": "0cc571a5-ac3fe717-ae609c72-9dfddc03-0f38ff08",
        "image_name": "medvh_199.jpg",
        "gt_labels": ["Cardiomegaly", "Pneumonia"],
        "img_source": "MIMIC-CXR-JPG",
    }
    rows_file(
        folder / "text_generation" / "report_generation" / "test_report_generation_src.json",
        [report, {**report, "report_id": 1, "gt_labels": "Edema"}],
    )
    return folder


def test_all_tasks_and_their_pictures(home: Path, tmp_path: Path) -> None:
    mimic = tmp_path / "mimic" / "files" / "p10"
    picture(mimic / "0cc571a5-ac3fe717-ae609c72-9dfddc03-0f38ff08.jpg", seed=7)
    picture(mimic / "0f259718-6e7bfb03-aca024a3-e06caeec-e249518c.jpg", seed=8)
    records, aside, fetched = fetch("medvh", tmp_path / "out", **{"from": str(home)}, images=str(tmp_path / "mimic"))
    by_id = {record.id.removeprefix("medvh-"): record for record in records["test.jsonl"]}
    assert list(by_id) == [
        "nota-0", "nota-1", "wrongful-image-0", "wrongful-image-baseline-0", "fcj-baseline-0", "fcj-0", "report-199",
    ]  # fmt: skip
    assert sorted(told(aside)) == [
        ("test_FCJ_src.json", 2, "suggested_answer"),
        ("test_report_generation_src.json", 2, "gt_labels"),
        ("test_wrongful_image_baseline_src.json", 2, "gt"),
    ]
    nota = by_id["nota-0"]
    assert (nota.answer, options_of(nota)) == ("None of the above", ("decreasing", "acute", "None of the above"))
    assert (nota.tags["task"], nota.tags["gt_form"], nota.provenance.notes["gt"]) == ("nota", "letter", "C")
    assert by_id["wrongful-image-baseline-0"].answer == "decreasing"
    assert by_id["wrongful-image-baseline-0"].tags["gt_form"] == "contradiction"
    assert by_id["fcj-0"].tags["suggested"] == "right lower lung area"
    assert "suggested" not in by_id["fcj-baseline-0"].tags
    assert by_id["report-199"].answer == "Cardiomegaly. Pneumonia."
    assert json.loads(by_id["report-199"].tags["findings"]) == ["Cardiomegaly", "Pneumonia"]
    assert nota.images != by_id["wrongful-image-0"].images, "pictures of one name in two folders are two pictures"
    assert all((tmp_path / "out" / record.images[0].path).is_file() for record in by_id.values())
    assert any("1 right answers are stated with a letter" in remark for remark in fetched.remarks)


def test_items_without_pictures_are_set_aside(home: Path, tmp_path: Path) -> None:
    records, aside, _ = fetch("medvh", tmp_path / "out", **{"from": str(home)})
    assert {record.tags["task"] for record in records["test.jsonl"]} == {
        "nota", "wrongful-image", "wrongful-image-baseline",
    }  # fmt: skip
    reason = next(row["reason"] for row in aside if row["file"] == "test_report_generation_src.json")
    assert "0cc571a5" in reason
    assert "MIMIC-CXR-JPG not in images=" in reason
