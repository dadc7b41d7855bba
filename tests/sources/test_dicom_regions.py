"""Contours and segmentations on DICOM series.

Layout: DICOM PS3.3 A.19 and C.8.8.5-6 (RT structure set), A.51 and C.8.20 (segmentation), C.7.6.2.1.1 (where a pixel
lies).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.errors import SourceError
from osler.images import load_image
from osler.images.contours import contour_mask
from osler.record_files import check_images
from osler.sources.dicom_geometry import Plane, plane_of
from osler.sources.dicom_masks import Fault, rtstruct_masks, seg_masks
from osler.sources.dicom_series import Folder, Patient, Slice, read_header
from tests.sources.box_pictures import corners, fetch, labels
from tests.sources.dicom_structure_files import OBLIQUE, SPACING, UPRIGHT, Series, filled, square

SQUARE = square(10, 12, 20, 24)
BOX = (10, 12, 21, 25)  # the pixels under the outline belong to it


def sample(tmp_path: Path, **options):
    from osler.images import image_size

    records, aside, fetched = fetch("dicom-regions", tmp_path / "in", tmp_path / "out", **options)
    items = records["records.jsonl"]
    assert check_images(items, tmp_path / "in", size_of=image_size).problems == ()
    return items, aside, fetched


@pytest.mark.parametrize("axes", [UPRIGHT, OBLIQUE])
@pytest.mark.parametrize("named", [True, False])
def test_contours_become_boxes_on_their_slices(tmp_path: Path, axes, named) -> None:
    series = Series(tmp_path / "in", axes=axes)
    series.rtstruct(
        "rs.dcm",
        {
            "GTV-1": [series.contour(1, SQUARE, named=named), series.contour(2, square(3, 3, 9, 9), named=named)],
            "Lung": [series.contour(1, square(30, 5, 60, 40), named=named)],
        },
    )
    items, aside, _ = sample(tmp_path)
    assert aside == []
    assert [(r.images[0].path, corners(r), labels(r)) for r in items] == [
        ("slice1.dcm", [BOX, (30, 5, 61, 41)], ["GTV-1", "Lung"]),
        ("slice2.dcm", [(3, 3, 10, 10)], ["GTV-1"]),
    ]
    assert items[0].tags == {"regions": "partial", "structure": "RTSTRUCT", "modality": "CT"}
    assert load_image(tmp_path / "in" / items[0].images[0].path).image.size == (64, 48)


def test_a_contour_inside_another_is_a_hole_and_two_parts_are_two_boxes(tmp_path: Path) -> None:
    series = Series(tmp_path / "in")
    ring = [series.contour(0, square(5, 5, 40, 40)), series.contour(0, square(6, 6, 39, 39))]
    series.rtstruct(
        "rs.dcm", {"ring": ring, "two": [series.contour(0, SQUARE), series.contour(0, square(50, 2, 60, 9))]}
    )
    items, _, _ = sample(tmp_path)
    assert corners(items[0]) == [(5, 5, 41, 41), BOX, (50, 2, 61, 10)]


def test_no_identifier_is_written_anywhere_in_the_records(tmp_path: Path) -> None:
    series = Series(tmp_path / "in", patient=("MRN-4711", "Doe^Janet"))
    series.rtstruct("rs.dcm", {"GTV": [series.contour(1, SQUARE)], "Doe Janet tumour": [series.contour(1, SQUARE)]})
    items, aside, _ = sample(tmp_path)
    text = (tmp_path / "out" / "records.jsonl").read_text()
    for secret in ("4711", "Doe", "Janet", series.study, series.uids[1], series.frame):
        assert secret not in text
        assert secret not in (tmp_path / "out" / "boxes.rejects.jsonl").read_text()
    assert labels(items[0]) == ["GTV"]
    assert [(row["field"], row["line"]) for row in aside] == [("label", 2)]
    assert len(items[0].subject) == len(items[0].study) == 32


def test_a_path_that_names_the_patient_is_refused_unless_wanted(tmp_path: Path) -> None:
    series = Series(tmp_path / "in" / "doe_1", patient=("4711x", "Doe^Janet"))
    series.rtstruct("rs.dcm", {"GTV": [series.contour(1, SQUARE)]})
    with pytest.raises(SourceError, match="path names the patient"):
        sample(tmp_path)
    assert len(sample(tmp_path, paths="keep")[0]) == 1


def test_the_salt_file_keeps_subject_keys(tmp_path: Path) -> None:
    series = Series(tmp_path / "in")
    series.rtstruct("rs.dcm", {"GTV": [series.contour(1, SQUARE)]})
    (tmp_path / "salt").write_bytes(b"0123456789abcdef0123")
    first, again = (sample(tmp_path, salt_file=str(tmp_path / "salt"))[0][0] for _ in range(2))
    other = sample(tmp_path)[0][0]
    assert first.subject == again.subject != other.subject


@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("named", [True, False])
def test_segments_become_boxes(tmp_path: Path, fractional, named) -> None:
    series = Series(tmp_path / "in", axes=OBLIQUE)
    value = 120 if fractional else 1  # of a maximum of 200
    weak = filled((2, 2, 12, 12), value=80 if fractional else 0)
    frames = [
        (0, 1, filled((5, 6, 15, 20), value=value) + weak * (filled((5, 6, 15, 20)) == 0)),
        (2, 1, filled((1, 1, 9, 9), (40, 20, 60, 40), value=value)),
        (2, 2, filled((20, 20, 30, 30), value=value)),
    ]
    series.seg("seg.dcm", frames, fractional=fractional, named=named, labels=("lesion", "cyst"))
    items, aside, _ = sample(tmp_path)
    assert aside == []
    assert [(r.images[0].path, corners(r), labels(r)) for r in items] == [
        ("slice0.dcm", [(5, 6, 15, 20)], ["lesion"]),
        ("slice2.dcm", [(40, 20, 60, 40), (1, 1, 9, 9), (20, 20, 30, 30)], ["lesion", "lesion", "cyst"]),
    ]


def test_one_structure_of_several_and_small_parts(tmp_path: Path) -> None:
    series = Series(tmp_path / "in")
    series.seg("seg.dcm", [(0, 1, filled((5, 5, 15, 15))), (0, 2, filled((20, 20, 22, 22)))], labels=("a", "b"))
    items, aside, fetched = sample(tmp_path, structures="a")
    assert labels(items[0]) == ["a"]
    assert "Structures left out: b (1)." in fetched.remarks
    items, aside, _ = sample(tmp_path)
    assert "'b' has no part of at least 12 pixels" in aside[0]["reason"]
    assert items[0].provenance.notes == {"boxes_set_aside": 1}
    assert labels(sample(tmp_path, smallest="4")[0][0]) == ["a", "b"]


def test_faulty_contours_are_listed(tmp_path: Path) -> None:
    series = Series(tmp_path / "in")
    good = series.contour(1, SQUARE)
    cut = series.contour(1, SQUARE)
    cut.ContourData = list(cut.ContourData)[:7]
    series.rtstruct(
        "rs.dcm",
        {
            "good": [good],
            "point": [series.contour(1, [(3, 3)], kind="POINT")],
            "cut": [cut],
            "elsewhere": [series.contour(1, SQUARE, named="1.2.3")],
            "beside": [series.contour(1, SQUARE, off=1.2)],
            "between": [series.contour(1, SQUARE, named=False, off=1.2)],
            " ": [good],
        },
    )
    items, aside, _ = sample(tmp_path)
    assert [labels(r) for r in items] == [["good"]]
    reasons = {row["line"]: row["reason"] for row in aside}
    assert sorted(reasons) == [2, 3, 4, 5, 6, 7]
    for line, words in enumerate(
        (
            "point or open line",
            "has 7 coordinates",
            "a picture that is not in the folder",
            "more than 1 mm beside the picture that it names",
            "in no picture of its frame of reference",
            "is empty or absent",
        ),
        start=2,
    ):
        assert words in reasons[line]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"shift": 3.0}, "another grid"),
        ({"kind": "LABELMAP"}, "neither BINARY nor FRACTIONAL"),
        ({"labels": ("",)}, "names no segment with a label"),
    ],
)
def test_faulty_segmentations_are_listed(tmp_path: Path, options, reason) -> None:
    series = Series(tmp_path / "in")
    series.rtstruct("rs.dcm", {"good": [series.contour(1, SQUARE)]})
    series.seg("seg.dcm", [(0, 1, filled((5, 5, 15, 15)))], **options)
    items, aside, _ = sample(tmp_path)
    assert len(items) == 1
    assert aside[0]["file"] == "seg.dcm"
    assert reason in aside[0]["reason"]


def test_other_and_damaged_files(tmp_path: Path) -> None:
    series = Series(tmp_path / "in")
    path = series.rtstruct("rs.dcm", {"good": [series.contour(1, SQUARE)]})
    (tmp_path / "in" / "notes.txt").write_text("hello")
    data = path.read_bytes()
    (tmp_path / "in" / "broken.dcm").write_bytes(data[:200])
    (tmp_path / "in" / "twice.dcm").write_bytes((tmp_path / "in" / "slice0.dcm").read_bytes())
    items, aside, fetched = sample(tmp_path)
    assert len(items) == 1
    assert {row["file"] for row in aside} == {"broken.dcm", "twice.dcm"}
    assert "3 pictures, 1 marking files, 1 other files." in fetched.remarks


def test_a_folder_without_marks(tmp_path: Path) -> None:
    Series(tmp_path / "in")
    with pytest.raises(SourceError, match=r"holds no RTSTRUCT or SEG file \(3 DICOM pictures\)"):
        sample(tmp_path)


@pytest.mark.parametrize("name", ["liver_1frame.dcm", "liver_expb_1frame.dcm"])
def test_a_published_segmentation(name) -> None:
    """A file of pydicom's own tests; its picture is not there, so one with its stated grid stands in."""
    ds = read_header(Path(pydicom.__file__).parent / "data" / "test_files" / name, pixels=True)
    assert [fault.reason for fault in seg_masks(ds, Folder())] == ["a frame is of a picture that is not in the folder"]
    plane = plane_of(ds, 0)
    source = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    place = Slice("a.dcm", plane, 1, "", Patient("", ()), "", "CT")
    (found,) = seg_masks(ds, Folder({source.ReferencedSOPInstanceUID: place}))
    assert found.label == "Liver"
    assert np.array_equal(found.mask, ds.pixel_array.astype(bool))
    assert found.mask.sum() > 1000


def test_a_published_structure_set_without_its_pictures() -> None:
    ds = read_header(Path(pydicom.__file__).parent / "data" / "test_files" / "rtstruct.dcm")
    found = list(rtstruct_masks(ds, Folder()))
    assert found
    assert all(isinstance(item, Fault) for item in found)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 150), st.floats(-50, 150)), min_size=1, max_size=5), st.floats(-3, 3))
def test_pixels_and_millimetres_invert_each_other(pixels, turn) -> None:
    c, s = np.cos(turn), np.sin(turn)
    plane = Plane(np.array([3.0, -4.0, 5.0]), np.array([c, s, 0.0]), np.array([-s, c, 0.0]), SPACING, 64, 48)
    points = np.array(
        [plane.origin + x * SPACING[1] * plane.along_row + y * SPACING[0] * plane.along_column for x, y in pixels]
    )
    assert np.allclose(plane.to_pixels(points), pixels, atol=1e-9)
    assert plane.distances(points).max() < 1e-9
    assert plane.distances(points + np.array([0, 0, 2.0])) == pytest.approx(2.0)
    assert plane.same_grid(plane)
    moved = Plane(plane.origin + plane.along_row, plane.along_row, plane.along_column, SPACING, 64, 48)
    assert not plane.same_grid(moved)


def test_contours_follow_the_pixels_under_their_outline() -> None:
    mask = contour_mask([square(2, 3, 5, 7)], 10, 9)
    assert mask.shape == (9, 10)
    assert np.argwhere(mask).min(axis=0).tolist() == [3, 2]
    assert np.argwhere(mask).max(axis=0).tolist() == [7, 5]
    assert not contour_mask([square(2, 3, 5, 7)] * 2, 10, 9).any()
