"""MS-CXR.

Layout: physionet.org/content/ms-cxr (Boecking et al., ECCV 2022): MS_CXR_Local_Alignment_v1.*.json in COCO layout with
`label_text`, and the same as CSV; `path` of MIMIC-CXR-JPG (physionet.org/content/mimic-cxr-jpg):
files/pNN/pNNNNNNNN/sNNNNNNNN/NAME.jpg.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.sources.ms_cxr import CATEGORIES
from tests.sources.box_pictures import corners, fetch, picture

PATH = "files/p10/p1000003{}/s5041426{}/ab-{}.jpg"
HEADER = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height"


def phrases(folder: Path, patients: int = 2):
    """(path, phrase, category, xywh): two boxes for the first phrase of each picture, one for the second."""
    rows = []
    for patient in range(patients):
        path = PATH.format(patient % 10, patient % 10, patient)
        picture(folder / path)
        rows += [
            (path, "Bilateral pleural effusions", "Pleural Effusion", (5, 40, 20, 30)),
            (path, "Bilateral pleural effusions", "Pleural Effusion", (70, 40, 20, 30)),
            (path, "Heart is enlarged", "Cardiomegaly", (30, 30, 40, 40)),
        ]
    return rows


def as_json(folder: Path, rows) -> Path:
    paths = list(dict.fromkeys(path for path, *_ in rows))
    content = {
        "images": [
            {"id": n, "path": path, "file_name": path.split("/")[-1], "width": 100, "height": 80}
            for n, path in enumerate(paths)
        ],
        "annotations": [
            {
                "image_id": paths.index(path),
                "category_id": CATEGORIES.index(name),
                "label_text": text,
                "bbox": list(box),
            }
            for path, text, name, box in rows
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(CATEGORIES)],
    }
    file = folder / "MS_CXR_Local_Alignment_v1.0.0.json"
    file.write_text(json.dumps(content))
    return file


def as_csv(folder: Path, rows, splits=()) -> Path:
    header = HEADER + (",split" if splits else "")
    lines = [
        f'd,{name},"{text}",{path},{",".join(map(str, box))},100,80' + (f",{splits[n]}" if splits else "")
        for n, (path, text, name, box) in enumerate(rows)
    ]
    file = folder / "MS_CXR_Local_Alignment_v1.1.0.csv"
    file.write_text("\n".join([header, *lines, ""]))
    return file


def every(records):
    return [record for items in records.values() for record in items]


@pytest.mark.parametrize("write", [as_json, as_csv])
def test_a_phrase_with_two_boxes_is_one_record_or_two(tmp_path: Path, write) -> None:
    file = write(tmp_path, phrases(tmp_path, 1))
    merged = every(fetch("ms-cxr", file, tmp_path / "out")[0])
    assert [(r.tags["phrase"], corners(r)) for r in merged] == [
        ("Bilateral pleural effusions", [(5, 40, 25, 70), (70, 40, 90, 70)]),
        ("Heart is enlarged", [(30, 30, 70, 70)]),
    ]
    single = every(fetch("ms-cxr", file, tmp_path / "rows", boxes="per-row")[0])
    assert [len(r.regions) for r in single] == [1, 1, 1]
    assert len({r.id for r in single}) == 3


def test_both_files_give_the_same_records(tmp_path: Path) -> None:
    rows = phrases(tmp_path, 3)
    a = every(fetch("ms-cxr", as_json(tmp_path, rows), tmp_path / "a")[0])
    b = every(fetch("ms-cxr", as_csv(tmp_path, rows), tmp_path / "b")[0])
    assert a == b


def test_no_patient_stands_on_two_sides_and_no_number_in_a_key(tmp_path: Path) -> None:
    file = as_json(tmp_path, phrases(tmp_path, 40))
    records, _, fetched = fetch("ms-cxr", file, tmp_path / "out", boxes="per-row")
    sides: dict[str, set[str]] = {}
    for record in every(records):
        sides.setdefault(record.subject, set()).add(record.provenance.split)
        assert "1000003" not in record.subject + record.study
    assert len(sides) == 10
    assert all(len(found) == 1 for found in sides.values())
    assert "patient, seed 0" in " ".join(fetched.remarks)


def test_the_official_split_is_taken_where_every_row_has_one(tmp_path: Path) -> None:
    rows = phrases(tmp_path, 2)
    file = as_csv(tmp_path, rows, ["train"] * 3 + ["val"] * 3)
    records, _, _ = fetch("ms-cxr", file, tmp_path / "out")
    assert {name: len(items) for name, items in records.items()} == {"train.jsonl": 2, "dev.jsonl": 2}
    with pytest.raises(SourceError, match="use split=patient"):
        fetch("ms-cxr", as_csv(tmp_path, rows), tmp_path / "out", split="official")


def test_bad_rows(tmp_path: Path) -> None:
    rows = phrases(tmp_path, 1)
    picture(tmp_path / "elsewhere.jpg")
    path = rows[0][0]
    bad = [
        ("elsewhere.jpg", "x", "Edema", (1, 1, 5, 5)),
        (path, "y", "Fracture", (1, 1, 5, 5)),
        (path, "", "Edema", (1, 1, 5, 5)),
        (path, "z", "Edema", (1, "?", 5, 5)),
        (path, "w", "Edema", (99, 1, 5, 5)),
    ]
    _, aside, _ = fetch("ms-cxr", as_csv(tmp_path, rows + bad), tmp_path / "out")
    reasons: dict[tuple[int, str], str] = {}
    for row in aside:
        reasons.setdefault((row["line"], row["field"]), row["reason"])
    assert "names no patient" in reasons[5, "path"]
    assert "'Fracture' is unknown" in reasons[6, "label"]
    assert reasons[7, "label_text"] == "is empty"
    assert reasons[8, "y"] == "is '?'; want a number"
    assert "outside its image" in reasons[9, "box"]


@pytest.mark.parametrize("write", [as_json, as_csv])
def test_a_phrase_that_lost_a_box_says_so(tmp_path: Path, write) -> None:
    rows = phrases(tmp_path, 1)
    rows.append(
        (rows[0][0], "Bilateral pleural effusions", "Pleural Effusion", (1, 1, 5, '"?"' if write is as_csv else "?"))
    )
    records, aside, _ = fetch("ms-cxr", write(tmp_path, rows), tmp_path / "out")
    assert len(aside) == 1
    assert [r.provenance.notes for r in every(records)] == [{"boxes_set_aside": 1}, {}]


def test_a_table_of_another_layout(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,label\n")
    with pytest.raises(SourceError, match="has no column 'category_name'"):
        fetch("ms-cxr", tmp_path / "a.csv", tmp_path / "out")
