"""LLaVA-Med's chat questions.

Keys: https://github.com/microsoft/LLaVA-Med at v1.0.0, llava/eval/eval_multimodal_chat_gpt_score.py and model_vqa.py,
which read question_id, image, text, gpt4_answer, fig_label, fig_caption, in_text_mention, domain and type.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sources.published import fetch, picture, rows_file, told

DOMAIN = {"chest_xray": False, "mri": True, "histology": False, "gross": False, "ct_scan": True}


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "question_id": number,
        "image": "1_F1.jpg",
        "pair_id": "1_F1",
        "text": "What is shown?\n<image>",
        "gpt4_answer": "A scan of the brain.",
        "fig_caption": "Axial MRI.",
        "in_text_mention": [{"tokens": "As Figure 1 shows.", "entities": []}],
        "domain": DOMAIN,
        "type": "conversation",
        "fig_label": "Fig. 1",
        **changes,
    }


def test_a_question_with_what_the_judge_reads(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "1_F1.jpg")
    rows = [row(0), row(1, in_text_mention=None, type="detailed_description", text="<image>\nDescribe it.")]
    rows_file(tmp_path / "llava_med_eval_qa50_qa.jsonl", rows)
    records, aside, fetched = fetch("llava-med-chat", tmp_path)
    assert aside == []
    first, second = records["test.jsonl"]
    assert first.turns[0].text == "What is shown?\n<image>", "as it stands in the file"
    assert second.turns[0].text == "<image>\nDescribe it."
    assert (first.tags["domain"], first.tags["question_type"]) == ("mri", "conversation"), "the first that is true"
    assert first.tags["judge_context"] == (
        "Figure Caption:\nFig. 1: Axial MRI.\n\nFigure Context:\n\t- [{'tokens': 'As Figure 1 shows.', 'entities': []}]"
    )
    assert second.tags["judge_context"] == "Figure Caption:\nFig. 1: Axial MRI."
    assert fetched.remarks == ("2 items on 1 pictures; published are 193 on 50.",)


def test_lines_that_are_no_json_objects(tmp_path: Path) -> None:
    picture(tmp_path / "1_F1.jpg")
    rows_file(tmp_path / "llava_med_eval_qa50_qa.jsonl", [row(0), [1]])
    with (tmp_path / "llava_med_eval_qa50_qa.jsonl").open("ab") as stream:
        stream.write(b'\n{"question_id": 3,\n\xff\xfe\n')
    records, aside, _ = fetch("llava-med-chat", tmp_path)
    assert len(records["test.jsonl"]) == 1
    assert [(line, field) for _, line, field in told(aside)] == [(2, None), (3, None), (4, None)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": "no picture"}, "text"),
        ({"text": "<image> <image>"}, "text"),
        ({"type": "poem"}, "type"),
        ({"domain": {"ct_scan": False}}, "domain"),
        ({"domain": None}, "domain"),
        ({"gpt4_answer": ""}, "gpt4_answer"),
        ({"fig_caption": None}, "fig_caption"),
        ({"image": "2.jpg"}, "image"),
        ({"question_id": 0}, "question_id"),
    ],
)
def test_bad_lines(changes: dict[str, Any], field: str, tmp_path: Path) -> None:
    picture(tmp_path / "1_F1.jpg")
    rows_file(tmp_path / "llava_med_eval_qa50_qa.jsonl", [row(0), row(1, **changes)])
    _, aside, _ = fetch("llava-med-chat", tmp_path)
    assert told(aside) == [("llava_med_eval_qa50_qa.jsonl", 2, field)]
