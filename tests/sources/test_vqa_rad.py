from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from osler.errors import RecordError, SourceError
from osler.sources import vqa_rad

SPLITS = ("train", "dev", "test")
FROZEN = {
    ("official", "dev"): "c602e9bef5f321ff",
    ("official", "test"): "547a4e3fa660c9e4",
    ("image-disjoint", "dev"): "2a6a1cdd75ac4a5b",
    ("image-disjoint", "test"): "f1ad6acc95133852",
}


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "vqa_rad"


@pytest.fixture(scope="module")
def parts(folder):
    return {
        (convention, split): vqa_rad.load(folder, split=split, convention=convention)
        for convention in ("official", "image-disjoint")
        for split in SPLITS
    }


def images(records):
    return {image.path for record in records for image in record.images}


def subjects(records):
    return {record.subject for record in records}


def test_published_counts(parts, folder):
    everything = vqa_rad.load_all(folder)
    assert len(everything) == len({r.id for r in everything}) == 2248
    assert len(images(everything)) == 314
    test = parts["official", "test"]
    assert Counter(r.tags["answer_type"] for r in test) == {"CLOSED": 272, "OPEN": 179}
    rest = [r for r in everything if r.provenance.split == "train"]
    assert (len(rest), len(images(rest))) == (1797, 313)
    assert Counter(r.tags["answer_type"] for r in rest) == {"CLOSED": 1027, "OPEN": 770}


@pytest.mark.parametrize("convention", ["official", "image-disjoint"])
def test_splits_are_a_partition(parts, folder, convention):
    ids = [r.id for split in SPLITS for r in parts[convention, split]]
    assert sorted(ids) == sorted(r.id for r in vqa_rad.load_all(folder))
    for split in SPLITS:
        assert {r.provenance.split for r in parts[convention, split]} == {split}


def test_image_disjoint_keeps_images_and_cases_apart(parts):
    for a, b in (("train", "dev"), ("train", "test"), ("dev", "test")):
        left, right = parts["image-disjoint", a], parts["image-disjoint", b]
        assert not images(left) & images(right)
        assert not subjects(left) & subjects(right)
    assert len(parts["image-disjoint", "test"]) == 452
    assert len(images(parts["image-disjoint", "test"])) == 64


def test_official_split_shares_images_and_dev_does_not(parts):
    train, dev, test = (parts["official", split] for split in SPLITS)
    assert len(images(train) & images(test)) == 202
    assert not images(dev) & (images(test) | images(train))
    assert not subjects(dev) & (subjects(test) | subjects(train))
    assert len(dev) >= 0.1 * 1797


def test_the_split_is_frozen(parts):
    """A changed hash or salt would silently change every number measured on these splits."""
    found = {
        key: hashlib.sha256(" ".join(sorted(record.id for record in parts[key])).encode()).hexdigest()[:16]
        for key in FROZEN
    }
    assert found == FROZEN


def test_tags_and_defects(parts, folder):
    everything = vqa_rad.load_all(folder)
    assert {r.tags["answer_type"] for r in everything} == {"OPEN", "CLOSED"}
    assert Counter(r.tags["question_type"] for r in everything) == {
        "PRES": 813, "POS": 324, "ABN": 205, "OTHER": 196, "MODALITY": 185, "SIZE": 175, "PLANE": 120, "ATTRIB": 93,
        "ORGAN": 59, "COLOR": 54, "COUNT": 24,
    }  # fmt: skip
    assert {r.tags["organ"] for r in everything} == {"HEAD", "CHEST", "ABD"}
    by_id = {r.id: r for r in everything}
    assert by_id["vqa-rad-1511"].answer == "4"  # a number in the file
    assert by_id["vqa-rad-0"].question == "Are regions of the brain infarcted?"  # its qid is a string in the file
    assert not any("\t" in turn.text for r in everything for turn in r.turns)
    assert {r.provenance.licence for r in everything} == {"CC0-1.0"}


def test_no_case_address_enters_a_record(folder):
    text = "".join(r.model_dump_json() for r in vqa_rad.load_all(folder))
    assert "medpix" not in text
    case = json.loads((folder / vqa_rad.JSON_NAME).read_text())[0]["image_case_url"].rpartition("=")[2]
    assert case not in text


def test_every_image_is_there(folder):
    for path in images(vqa_rad.load_all(folder)):
        assert (folder / path).is_file()


def test_question_types():
    assert vqa_rad.normalise_question_type("ATRIB") == ("ATTRIB",)
    assert vqa_rad.normalise_question_type("PRSE") == ("PRES",)
    assert vqa_rad.normalise_question_type("Other") == ("OTHER",)
    assert vqa_rad.normalise_question_type("POS, PRES") == ("POS", "PRES")
    assert vqa_rad.normalise_question_type(" , ") == ("OTHER",)


def write(folder, rows):
    (folder / "images").mkdir(exist_ok=True)
    (folder / vqa_rad.JSON_NAME).write_text(json.dumps(rows))


ROW = {
    "qid": 1, "image_name": "a.jpg", "image_case_url": "u", "question": "q?", "answer": 0, "answer_type": "CLOSED ",
    "phrase_type": "test_para",
}  # fmt: skip


def test_malformed_files_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"holds no 'VQA_RAD Dataset Public\.json'"):
        vqa_rad.load(tmp_path)
    write(tmp_path, {"no": "list"})
    with pytest.raises(SourceError, match="a dict, not a list"):
        vqa_rad.load(tmp_path)
    write(tmp_path, [ROW, {**ROW, "qid": 2, "answer": None}])
    with pytest.raises(RecordError, match=r"Public\.json:2: answer: is absent"):
        vqa_rad.load(tmp_path)
    write(tmp_path, [ROW])
    assert vqa_rad.load(tmp_path)[0].answer == "0"
    with pytest.raises(SourceError, match="no split 'val'"):
        vqa_rad.load(tmp_path, split="val")
    (tmp_path / "images").rename(tmp_path / "pictures")
    with pytest.raises(SourceError, match="neither 'images'"):
        vqa_rad.load(tmp_path)


def test_one_image_under_two_addresses_is_one_case(tmp_path):
    rows = [
        {**ROW, "qid": 1, "image_name": "a.jpg", "image_case_url": "u"},
        {**ROW, "qid": 2, "image_name": "a.jpg", "image_case_url": "v"},
        {**ROW, "qid": 3, "image_name": "b.jpg", "image_case_url": "v"},
        {**ROW, "qid": 4, "image_name": "c.jpg", "image_case_url": "w"},
    ]
    write(tmp_path, rows)
    keys = [r.subject for r in vqa_rad.load_all(tmp_path)]
    assert len(set(keys)) == 2
    assert keys[0] == keys[1] == keys[2] != keys[3]
