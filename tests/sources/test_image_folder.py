from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osler.errors import RecordError
from osler.images import load_image
from osler.record_files import read_records
from osler.sources import get
from osler.sources.image_folder import RejectedRow, read_csv

SALT = b"a secret of the hospital"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("L", (100, 60)).save(folder / "a.png")
    Image.new("RGB", (40, 80)).save(folder / "b.jpg")
    return folder


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_rows_become_records(tmp_path: Path, images: Path) -> None:
    path = table(
        tmp_path,
        "image,question,answer,caption,label,x1,y1,x2,y2,subject,split,tag:question_type\n"
        "a.png,Is there a mass?,yes,,mass,10,5,50,30,P-1,train,presence\n"
        'b.jpg,,,"Chest film, normal.",,,,,,P-2,test,\n',
    )
    records = read_csv(path, images, licence="CC0", salt=SALT).records
    first, second = records
    assert (first.question, first.answer, first.tags) == ("Is there a mass?", "yes", {"question_type": "presence"})
    assert first.regions[0].box.xyxy() == (10, 5, 50, 30)
    assert (first.regions[0].box.width, first.regions[0].box.height) == (100, 60)
    assert (second.question, second.answer) == ("Describe this image.", "Chest film, normal.")
    assert second.tags == {"question_type": "caption"}
    assert [record.provenance.split for record in records] == ["train", "test"]
    assert all(record.subject and "P-" not in record.model_dump_json() for record in records)


def test_a_repeated_row_adds_its_box(tmp_path: Path, images: Path) -> None:
    path = table(
        tmp_path,
        "image,question,answer,x1,y1,x2,y2\n"
        "a.png,How many nodules?,two,0,0,10,10\n"
        "a.png,How many nodules?,two,20,20,30,30\n"
        "a.png,How many nodules?,two,,,,\n",
    )
    found = read_csv(path, images)
    assert [region.box.xyxy() for region in found.records[0].regions] == [(0, 0, 10, 10), (20, 20, 30, 30)]
    assert len(found.records) == 1
    assert found.rejected == [RejectedRow(4, None, "repeats an earlier row and adds no box")]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (",Q?,yes,,,,,,", "image", "is empty"),
        ("nowhere.png,Q?,yes,,,,,,", "image", "nowhere.png"),
        ("../table.csv,Q?,yes,,,,,,", "path", "climbs out"),
        ("a.png,,yes,,,,,,", "question", "is empty"),
        ("a.png,Q?,,,,,,,", "answer", "is empty for the question"),
        ("a.png,Q? <image>,yes,,,,,,", "question", "added for you"),
        ("a.png,Q?,yes,5,5,5,9,,", "x1", "no area"),
        ("a.png,Q?,yes,0,0,200,50,,", "x1", "outside its image"),
        ("a.png,Q?,yes,0,0,ten,50,,", "x2", "'ten'"),
        ("a.png,Q?,yes,0,0,nan,50,,", "x2", "'nan'"),
        ("a.png,Q?,yes,0,,20,50,,", "y1", "''"),
        ("a.png,Q?,yes,,,,,-1,", "frame", "whole number"),
        ("a.png,Q?,yes,,,,,3,", "frame", "3: "),
        ("a.png,Q?,yes,,,,,,lungs", "window", "lungs"),
        ("a.png,Q?,yes", None, "6 cells fewer"),
        ("a.png,Q, really?,yes,,,,,,", None, "1 cells more"),
    ],
)
def test_a_bad_row_is_rejected_with_line_and_column(
    tmp_path: Path, images: Path, row: str, field: str | None, reason: str
) -> None:
    path = table(tmp_path, f"image,question,answer,x1,y1,x2,y2,frame,window\na.png,Fine?,yes,,,,,,\n{row}\n")
    found = read_csv(path, images)
    assert len(found.records) == 1
    (rejected,) = found.rejected
    assert (rejected.line, rejected.field) == (3, field)
    assert reason in rejected.reason


def test_lines_count_in_the_file_even_after_a_cell_with_line_breaks(tmp_path: Path, images: Path) -> None:
    path = table(tmp_path, 'image,question,answer\n\na.png,"Is it\na lung?",yes\nnone.png,Q?,no\n')
    found = read_csv(path, images)
    assert found.records[0].question == "Is it a lung?"
    assert found.rejected[0].line == 5


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_spreadsheet_dialects_and_byte_order_mark(tmp_path: Path, images: Path, separator: str) -> None:
    text = "\n".join(separator.join(cells) for cells in (("Image", "Question", "Answer"), ("a.png", "Où?", "là")))
    found = read_csv(table(tmp_path, text, "utf-8-sig"), images)
    assert (found.records[0].question, found.records[0].answer) == ("Où?", "là")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("image,question\na,b\n", "question with answer or caption"),
        ("image,caption,colour\na,b,c\n", "unknown column 'colour'"),
        ("image,caption,caption\na,b,c\n", "stands there 2 times"),
    ],
)
def test_a_table_that_cannot_be_read_at_all(tmp_path: Path, images: Path, text: str, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        read_csv(table(tmp_path, text), images)


def test_text_in_another_encoding_is_refused(tmp_path: Path, images: Path) -> None:
    with pytest.raises(RecordError, match="CSV UTF-8"):
        read_csv(table(tmp_path, "image,caption\na.png,Größe\n", "latin-1"), images)


def test_slices_of_a_volume_are_named_by_frame_and_window(tmp_path: Path, images: Path) -> None:
    import nibabel

    values = np.stack([np.full((8, 6), hu, dtype=np.int16) for hu in (-1000, -600, 0)], axis=2)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), images / "ct.nii")
    path = table(tmp_path, "image,question,answer,frame,window\nct.nii,Air?,no,1,-600/1500\nct.nii,Air?,yes,0,lung\n")
    found = read_csv(path, images)
    assert not found.rejected
    greys = []
    for record in found.records:
        (ref,) = record.images
        loaded = load_image(images / ref.path, frame=ref.frame, window=ref.window)
        assert loaded.image.size == (ref.width, ref.height)
        greys.append(int(np.asarray(loaded.image).mean()))
    assert greys == [128, 60]  # -600 HU is the middle of the window; -1000 HU lies 350 of 1500 above its floor


def test_pseudonyms_link_only_with_the_same_secret(tmp_path: Path, images: Path) -> None:
    path = table(tmp_path, "image,caption,subject\na.png,one,P-1\nb.jpg,two,P-1\n")
    a, b = (read_csv(path, images, salt=SALT).records for _ in range(2))
    fresh = read_csv(path, images).records
    assert a[0].subject == a[1].subject == b[0].subject
    assert fresh[0].subject == fresh[1].subject != a[0].subject


def test_the_source_writes_a_file_for_each_split_and_warns_of_shared_subjects(tmp_path: Path, images: Path) -> None:
    path = table(
        tmp_path,
        "image,caption,subject,split\na.png,one,P-1,train\nb.jpg,two,P-1,test\nb.jpg,three,P-2,holdout\n",
    )
    fetched = get("image-csv").get(tmp_path / "out", **{"from": str(path), "images": str(images)})
    assert fetched.files == {"train.jsonl": 1, "test.jsonl": 1}
    assert len(read_records(tmp_path / "out" / "test.jsonl")) == 1
    assert any("1 subjects stand in more than one split" in remark for remark in fetched.remarks)
    reject = json.loads((tmp_path / "out" / "table.csv.rejects.jsonl").read_text())
    assert (reject["line"], reject["field"]) == (4, "split")


def test_a_table_without_a_usable_row_names_the_first_reason(tmp_path: Path, images: Path) -> None:
    path = table(tmp_path, "image,caption\nzz.png,one\n")
    with pytest.raises(RecordError, match=r"table.csv:2: image: no usable row; the first reason: .*zz.png"):
        get("image-csv").get(tmp_path / "out", **{"from": str(path), "images": str(images)})
