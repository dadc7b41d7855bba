from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from osler.errors import RecordError, SourceError
from osler.record_files import Reject, read_records
from osler.record_options import options_of
from osler.sources import get, omnimedvqa


def row(number: int, **changes: Any) -> dict[str, Any]:
    full = {
        "dataset": "Chest CT Scan",
        "question_id": f"Chest CT Scan_{number:04}",
        "question_type": "Disease Diagnosis",
        "question": "What does the image show?",
        "gt_answer": "Squamous cell carcinoma.",
        "image_path": "Images/Chest CT Scan/a (1).png",
        "option_A": "Normal.",
        "option_B": "Squamous cell carcinoma.",
        "option_C": "Adenocarcinoma.",
        "option_D": "Emphysema.",
        "modality_type": "CT(Computed Tomography)",
        **changes,
    }
    return {key: value for key, value in full.items() if value != "DELETE"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "omni" / "Images" / "Chest CT Scan").mkdir(parents=True)
    Image.new("L", (8, 6)).save(tmp_path / "omni" / "Images" / "Chest CT Scan" / "a (1).png")
    return tmp_path / "omni"


def write(folder: Path, name: str, rows: Any, access: str = "Open-access") -> None:
    place = folder / "QA_information" / access
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.json").write_text(rows if isinstance(rows, str) else json.dumps(rows))


def test_rows_become_records(folder: Path) -> None:
    write(folder, "Chest CT Scan", [row(0), row(1, option_C=None, option_D="DELETE")])
    assert omnimedvqa.is_layout(folder)
    first, second = omnimedvqa.read(folder)
    assert first.id == "omnimedvqa-Chest CT Scan_0000"
    assert first.turns[0].text == "<image>\nWhat does the image show?"
    assert first.answer == "Squamous cell carcinoma."
    assert first.images[0].path == "Images/Chest CT Scan/a (1).png"
    assert options_of(first) == ("Normal.", "Squamous cell carcinoma.", "Adenocarcinoma.", "Emphysema.")
    assert options_of(second) == ("Normal.", "Squamous cell carcinoma.")
    assert {key: first.tags[key] for key in ("question_type", "answer_type", "modality", "dataset")} == {
        "question_type": "Disease Diagnosis",
        "answer_type": "CLOSED",
        "modality": "CT(Computed Tomography)",
        "dataset": "Chest CT Scan",
    }
    assert first.provenance.split == "test"


BROKEN = [
    ("text", "is a str, not an object"),
    (row(1, question="DELETE"), "question: want text, not None"),
    (row(1, question_id=7), "question_id: want text, not 7"),
    (row(1, modality_type=" "), "modality_type: want text, not ' '"),
    (row(1, gt_answer="B"), "gt_answer: 'B' is none of the options"),
    (row(1, gt_answer="Squamous cell carcinoma"), "gt_answer: 'Squamous cell carcinoma' is none"),
    (row(1, option_C=" "), "options: is .* none of them blank"),
    (row(1, option_C=3), "options: is "),
    (row(1, option_A="Emphysema."), "options: .* one option stands there twice"),
    (row(1, option_A=None, option_C=None, option_D=None), "options: .* at least two texts"),
    (row(1, image_path="Images/b.png"), "image_path: 'Images/b.png': there is no such file"),
    (row(1, image_path="../../b.png"), "image_path: .* climbs out"),
    (row(1, question="Is <image> it?"), "placeholders"),
    (row(0), r"question_id: is already that of Chest CT Scan\.json:1"),
]


@pytest.mark.parametrize(("broken", "reason"), BROKEN)
def test_a_bad_row_is_refused_by_file_row_and_field(broken: Any, reason: str, folder: Path) -> None:
    write(folder, "Chest CT Scan", [row(0), broken])
    with pytest.raises(
        RecordError, match=rf"Chest CT Scan\.json:2: {'.*' if reason == 'placeholders' else ''}{reason}"
    ):
        omnimedvqa.read(folder)
    found: list[tuple[Path, Reject]] = []
    assert len(omnimedvqa.read(folder, on_reject=lambda path, reject: found.append((path, reject)))) == 1
    assert [(path.name, reject.line) for path, reject in found] == [("Chest CT Scan.json", 2)]
    assert json.loads(found[0][1].raw) == broken


def test_the_source_sets_bad_rows_aside(folder: Path, tmp_path: Path) -> None:
    write(folder, "A", [row(0), *(broken for broken, _ in BROKEN)])
    write(folder, "B", [row(2, dataset="B")])
    write(folder, "C", [row(3, dataset="C")], access="Restricted-access")
    fetched = get("omnimedvqa").get(tmp_path / "out", **{"from": str(folder)})
    assert fetched.files == {"test.jsonl": 2}
    assert fetched.images == folder
    assert fetched.rejects == {"test.jsonl.rejects.jsonl": len(BROKEN)}
    assert [r.tags["dataset"] for r in read_records(tmp_path / "out" / "test.jsonl")] == ["Chest CT Scan", "B"]
    lines = (tmp_path / "out" / "test.jsonl.rejects.jsonl").read_text().splitlines()
    assert [(json.loads(line)["file"], json.loads(line)["line"]) for line in lines] == [
        ("A.json", number) for number in range(2, len(BROKEN) + 2)
    ]
    fetched = get("omnimedvqa").get(tmp_path / "out", **{"from": str(folder)}, datasets="B")
    assert (fetched.files, dict(fetched.rejects)) == ({"test.jsonl": 1}, {})
    assert not (tmp_path / "out" / "test.jsonl.rejects.jsonl").exists()
    fetched = get("omnimedvqa").get(tmp_path / "out", **{"from": str(folder)}, access="restricted")
    assert [r.tags["dataset"] for r in read_records(tmp_path / "out" / "test.jsonl")] == ["C"]


def test_what_is_no_data_set_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no question files"):
        get("omnimedvqa").get(tmp_path / "out", **{"from": str(folder)})
    write(folder, "A", [row(0)])
    with pytest.raises(SourceError, match="has no data set 'B'; it has A"):
        get("omnimedvqa").get(tmp_path / "out", **{"from": str(folder)}, datasets="A,B")
    with pytest.raises(SourceError, match="want open or restricted"):
        get("omnimedvqa").get(tmp_path / "out", **{"from": str(folder)}, access="all")
    write(folder, "A", [row(0, gt_answer="?")])
    with pytest.raises(SourceError, match=r"no usable row; the first reason: A\.json:1: gt_answer"):
        get("omnimedvqa").get(tmp_path / "out", **{"from": str(folder)})
    for text, reason in (("{}", "holds a dict, not a list"), ("[", "is not JSON")):
        write(folder, "A", text)
        with pytest.raises(RecordError, match=rf"A\.json.*{reason}"):
            omnimedvqa.read(folder)


def test_the_count_of_open_data_sets_and_the_folder_of_the_archive(folder: Path, tmp_path: Path) -> None:
    for number in range(omnimedvqa.OPEN_SETS):
        write(folder, f"set{number:02}", [row(number, dataset=f"Set {number}")])
    fetched = get("omnimedvqa").get(tmp_path / "out", **{"from": str(folder)})
    assert fetched.files == {"test.jsonl": 42}
    assert not any("data sets" in remark for remark in fetched.remarks)
    (folder / "QA_information" / "Open-access" / "set00.json").unlink()
    folder.rename(tmp_path / "OmniMedVQA")  # as the published archive unpacks
    fetched = get("omnimedvqa").get(tmp_path / "out", **{"from": str(tmp_path)})
    assert "41 data sets; the published open-access part has 42." in fetched.remarks
    assert fetched.images == tmp_path / "OmniMedVQA"
