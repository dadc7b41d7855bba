from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageFilter
from PIL.Image import Transpose

from osler.errors import EvaluationError, ImageError, RecordError
from osler.evaluation.leak_inputs import read_side
from osler.evaluation.leak_sheet import draw_pairs, summary_rows
from osler.evaluation.leaks import Side, find_leaks
from osler.records import ImageRef, Record, Turn
from tests.cli.conftest import Osler
from tests.cli.conftest import osler as osler  # the fixture


def picture(seed, side=128):
    """Soft blobs: pictures that differ in their low frequencies, like photographs and scans."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2))


def record(name, path, question, answer, **fields):
    turns = (Turn(role="user", text=f"<image>\n{question}"), Turn(role="assistant", text=answer))
    return Record(id=name, images=(ImageRef(path=path),), turns=turns, **fields)


@pytest.fixture
def sides(tmp_path):
    """Ten training pictures; six test pictures that come from them in six ways, and four that do not."""
    train, test = tmp_path / "train", tmp_path / "test"
    train.mkdir()
    test.mkdir()
    for number in range(10):
        picture(number).save(train / f"{number}.png")
    shutil.copy(train / "0.png", test / "renamed.png")
    Image.open(train / "1.png").save(test / "saved-anew.tif")
    Image.open(train / "2.png").save(test / "jpeg.jpg", quality=60)
    Image.open(train / "3.png").transpose(Transpose.FLIP_LEFT_RIGHT).save(test / "mirrored.jpg", quality=80)
    Image.open(train / "4.png").transpose(Transpose.FLIP_TOP_BOTTOM).resize((90, 90)).save(test / "down.png")
    Image.open(train / "5.png").transpose(Transpose.ROTATE_180).save(test / "turned.png")
    for number in range(100, 104):
        picture(number).save(test / f"other{number}.png")
    return train, test


def test_every_way_to_copy_a_picture_is_found_and_no_other_picture_is(sides):
    train, test = sides
    found = find_leaks(read_side(str(train)), read_side(str(test)))
    assert {match.test: (match.train, match.kind, match.reflection) for match in found.images} == {
        "renamed.png": ("0.png", "same file", "none"),
        "saved-anew.tif": ("1.png", "same pixels", "none"),
        "jpeg.jpg": ("2.png", "near duplicate", "none"),
        "mirrored.jpg": ("3.png", "near duplicate", "mirrored"),
        "down.png": ("4.png", "near duplicate", "upside down"),
        "turned.png": ("5.png", "near duplicate", "turned by 180°"),
    }
    assert found.found
    assert (found.counts["same_file"], found.counts["same_pixels"], found.counts["near_duplicate"]) == (1, 1, 4)
    assert [match.kind for match in found.images][:2] == ["same file", "same pixels"]
    assert ("test images leaked, all kinds", 6, "60.0%") in summary_rows(found)


def test_questions_count_only_on_a_matching_picture(sides):
    train, test = sides
    learned = [
        record("a", "0.png", "Is there a  Mass?", "yes", subject="s1", study="x"),
        record("b", "0.png", "Where is it?", "left"),
        record("c", "3.png", "Is there a mass", "no"),
        record("d", "9.png", "Which organ?", "liver"),
    ]
    asked = [
        record("t1", "renamed.png", "is there a mass?", "yes", subject="s1"),
        record("t2", "renamed.png", "Which organ?", "liver"),
        record("t3", "mirrored.jpg", "Is there a mass?", "yes"),
        record("t4", "other100.png", "Is there a mass?", "yes", study="x"),
    ]
    found = find_leaks(Side("train", learned, train), Side("test", asked, test))
    assert {(m.test, m.train, m.image) for m in found.questions} == {
        ("t1", "a", "same file"), ("t3", "c", "near duplicate"),
    }  # fmt: skip
    counts = found.counts
    assert (counts["same_question_same_image"], counts["of_these_same_answer"]) == (2, 1)
    assert counts["questions_in_training"] == 4
    assert counts["test_items_on_leaked_images"] == 3
    assert (found.shared_subjects, found.shared_studies) == (("s1",), ("x",))


def test_a_distance_of_zero_leaves_recompressed_copies_out(sides):
    train, test = sides
    strict = find_leaks(read_side(str(train)), read_side(str(test)), max_distance=0)
    kinds = {match.test for match in strict.images}
    assert {"renamed.png", "saved-anew.tif", "turned.png"} <= kinds
    assert "mirrored.jpg" not in kinds or strict.images[-1].distance == 0
    with pytest.raises(RecordError, match="max_distance is -1"):
        find_leaks(read_side(str(train)), read_side(str(test)), max_distance=-1)


def test_damaged_pictures_are_told_and_nothing_readable_is_an_error(sides):
    train, test = sides
    (test / "broken.png").write_bytes(b"no picture")
    found = find_leaks(read_side(str(train)), read_side(str(test)))
    assert len(found.unreadable) == 1
    assert "broken.png" in found.unreadable[0]
    only = Side("only", [record("x", "broken.png", "?", "y")], test)
    with pytest.raises(ImageError, match="none of its 1 images can be read"):
        find_leaks(read_side(str(train)), only)
    with pytest.raises(RecordError, match="climbs out"):
        find_leaks(read_side(str(train)), Side("out", [record("x", "../train/0.png", "?", "y")], test))


def test_the_picture_shows_pairs_and_a_clean_test_set_gives_none(sides, tmp_path):
    train, test = sides
    found = find_leaks(read_side(str(train)), read_side(str(test)))
    sheet = np.asarray(Image.open(draw_pairs(found, tmp_path / "pairs.png")).convert("RGB")).astype(int)
    # the first pair is the farthest near duplicate, training left, test right
    first = max((m for m in found.images if m.kind == "near duplicate"), key=lambda match: match.distance)
    shown = np.asarray(Image.open(train / first.train).convert("RGB").resize((180, 180))).astype(int)
    drawn = np.asarray(Image.fromarray(sheet[22:202, 8:188].astype(np.uint8)))
    inner = (slice(30, 150), slice(30, 150))
    small = np.asarray(Image.open(train / first.train).convert("RGB"))
    at = ((180 - small.shape[0]) // 2, (180 - small.shape[1]) // 2)
    assert np.abs(drawn[at[0] : at[0] + 128, at[1] : at[1] + 128].astype(int) - small).max() <= 1
    assert shown[inner].shape == (120, 120, 3)
    clean = find_leaks(
        Side("a", [record("1", "6.png", "?", "y")], train), Side("b", [record("2", "7.png", "!", "y")], train)
    )
    assert not clean.found
    assert draw_pairs(clean, tmp_path / "none.png") is None


def test_the_command_on_record_files(osler: Osler, sides, tmp_path):
    train, test = sides
    (train / "train.jsonl").write_text(record("a", "0.png", "Is [bold]it[/]?", "yes").model_dump_json() + "\n")
    (test / "test.jsonl").write_text(
        "".join(r.model_dump_json() + "\n" for r in [record("t", "renamed.png", "is [bold]it[/] ?", "yes")])
    )
    told = osler("data", "leaks", train / "train.jsonl", test / "test.jsonl", "--out", tmp_path / "leaks")
    assert told.status == 0, told.err
    assert "same file in training" in told.out
    content = json.loads((tmp_path / "leaks" / "leaks.json").read_text())
    assert (content["leaks"], content["counts"]["same_file"]) == (True, 1)
    assert content["questions"][0]["question"] == "is [bold]it[/] ?"
    assert (tmp_path / "leaks" / "pairs.png").is_file()
    assert osler("data", "leaks", train / "train.jsonl", test / "test.jsonl", "--fail").status == 1
    assert osler("data", "leaks", train, test).status == 0, "folders that hold record files are read as records"


def test_what_cannot_be_compared_is_refused(osler: Osler, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RecordError, match="neither record files"):
        read_side(str(empty))
    with pytest.raises(EvaluationError, match="nor is it a benchmark's split"):
        read_side("nowhere.jsonl")
    with pytest.raises(EvaluationError, match="say with --data where"):
        read_side("vqa-rad:train")
    with pytest.raises(EvaluationError, match="no convention 'mine'"):
        read_side("vqa-rad:train", data=empty, convention="mine")
    (empty / "x.jsonl").write_text("")
    assert osler("data", "leaks", empty / "x.jsonl", empty / "x.jsonl").status == 2


@pytest.mark.parametrize(("convention", "images", "questions"), [("official", 202, 1), ("image-disjoint", 0, 0)])
def test_vqa_rad(shared_data, convention, images, questions):
    """Counted on the published files: 202 of 203 official test images are training images, one question is twice."""
    folder = shared_data / "vqa_rad"
    found = find_leaks(*(read_side(f"vqa-rad:{s}", data=folder, convention=convention) for s in ("train", "test")))
    assert found.counts["test_images_leaked"] == found.counts["same_file"] == images
    assert found.counts["same_question_same_image"] == questions
    assert found.counts["shared_subjects"] == images
    assert not found.unreadable
    if convention == "official":
        assert found.counts["test_images"] == 203
        (match,) = found.questions
        assert match.question == "Where is the lesion located?"
