"""NIfTI and NRRD: orientation against nibabel's own canonical form for all 48 axis orders, and hostile headers."""

from __future__ import annotations

import gzip
import itertools

import nibabel
import nrrd
import numpy as np
import pytest
from PIL import Image

from osler.errors import ImageError
from osler.images import Window, image_size, load_image, load_mask_slices, load_volume

# canonical (RAS+) truth: right, anterior, superior corner bright on each axial slice
TRUTH = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
SPACING = (1.0, 2.0, 3.0)
ORIENTATIONS = [
    np.array(list(zip(order, signs, strict=True)), float)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
WIDE = Window(104.5, 209, "linear_exact")


def stored(orientation, truth=TRUTH):
    """The truth as a scanner with other axes would store it, with its affine."""
    return nibabel.Nifti1Image(truth, np.diag([*SPACING, 1.0])).as_reoriented(orientation)


def test_there_are_48_orientations():
    assert len({tuple(map(tuple, o)) for o in ORIENTATIONS}) == 48


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_slices_in_every_orientation(tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    for orientation in ORIENTATIONS if suffix == ".nii" else ORIENTATIONS[::7]:
        nibabel.save(stored(orientation), path)
        canonical = nibabel.as_closest_canonical(nibabel.load(path))
        assert np.array_equal(canonical.get_fdata(), TRUTH)  # the reference itself is right
        volume = load_volume(path)
        assert np.array_equal(volume.array, TRUTH)
        assert np.allclose(volume.affine, canonical.affine)
        assert volume.spacing == SPACING
        for k in (0, 3, 6):
            picture = np.asarray(load_image(path, frame=k, window=WIDE).image)[..., 0]
            # rows from the front backwards, columns from the right leftwards
            wanted = WIDE.apply(np.array([[TRUTH[x, y, k] for x in range(4, -1, -1)] for y in range(5, -1, -1)]))
            assert np.array_equal(picture, wanted)
            assert np.array_equal(
                volume.picture(k), [[TRUTH[x, y, k] for x in range(4, -1, -1)] for y in range(5, -1, -1)]
            )
        coronal = np.asarray(load_image(path, frame=2, window=WIDE, axis="coronal").image)[..., 0]
        assert np.array_equal(
            coronal, WIDE.apply(np.array([[TRUTH[x, 2, z] for x in range(4, -1, -1)] for z in range(6, -1, -1)]))
        )
        sagittal = np.asarray(load_image(path, frame=1, window=WIDE, axis="sagittal").image)[..., 0]
        assert np.array_equal(
            sagittal, WIDE.apply(np.array([[TRUTH[1, y, z] for y in range(5, -1, -1)] for z in range(6, -1, -1)]))
        )


def test_nrrd_slices_in_every_orientation(tmp_path):
    path = tmp_path / "v.nrrd"
    for number, orientation in enumerate(ORIENTATIONS):
        image = stored(orientation)
        lps = np.diag([-1, -1, 1]) @ image.affine[:3]
        space, matrix = [("left-posterior-superior", lps), ("RAS", image.affine[:3])][number % 2]
        header = {"space": space, "space directions": matrix[:, :3].T, "space origin": matrix[:, 3],
                  "encoding": ("raw", "gzip", "bzip2", "ascii")[number % 4]}  # fmt: skip
        nrrd.write(str(path), np.asarray(image.dataobj), header)
        volume = load_volume(path)
        assert np.array_equal(volume.array, TRUTH)
        assert np.allclose(volume.affine, np.diag([*SPACING, 1.0]))
        picture = np.asarray(load_image(path, frame=3, window=WIDE).image)[..., 0]
        assert np.array_equal(picture, WIDE.apply(volume.picture(3)))
        assert load_image(path).info.orientation == "radiological"


def test_marked_corner(tmp_path):
    """The patient's right front is at the top left of an axial picture, in LAS as in RPI storage."""
    truth = np.zeros((8, 8, 3), np.uint8)
    truth[5:, 5:, :] = 200  # x towards the right, y towards the front
    for codes in ("LAS", "RPI", "SAL"):
        image = nibabel.Nifti1Image(truth, np.eye(4)).as_reoriented(nibabel.orientations.axcodes2ornt(codes))
        assert not np.array_equal(image.affine, np.eye(4))
        nibabel.save(image, tmp_path / "v.nii")
        picture = np.asarray(load_image(tmp_path / "v.nii", frame=1).image)[..., 0]
        assert picture[0, 0] == 255
        assert picture[0, -1] == picture[-1, 0] == picture[-1, -1] == 0


def test_oblique_goes_to_the_nearest_axes(tmp_path):
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1, 1, 1])
    nibabel.save(nibabel.Nifti1Image(TRUTH, affine), tmp_path / "v.nii")
    reference = nibabel.as_closest_canonical(nibabel.load(tmp_path / "v.nii"))
    volume = load_volume(tmp_path / "v.nii")
    assert np.array_equal(volume.array, reference.get_fdata())
    assert np.allclose(volume.affine, reference.affine)


def test_real_volumes_agree_with_nibabel():
    from pathlib import Path

    folder = Path(nibabel.__file__).parent / "tests" / "data"
    names = [
        "anatomical.nii",
        "example4d.nii.gz",
        "example_nifti2.nii.gz",
        "functional.nii",
        "reoriented_anat_moved.nii",
    ]
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        pytest.skip("this nibabel was installed without its test data")
    for path in found:
        reference = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()
        volume = load_volume(path)
        assert np.allclose(volume.array, reference, equal_nan=True)
        loaded = load_image(path)
        assert loaded.info.frame == reference.shape[2] // 2
        assert image_size(path) == reference.shape[:2] == loaded.image.size


def test_series_scaling_and_colour(tmp_path):
    series = np.stack([TRUTH, TRUTH * 2], axis=-1)
    nibabel.save(nibabel.Nifti1Image(series, np.diag([*SPACING, 1])), tmp_path / "t.nii.gz")
    info = load_image(tmp_path / "t.nii.gz", frame=7 + 2, window=WIDE)
    assert info.info.frames == 14
    assert np.array_equal(np.asarray(info.image)[..., 0], WIDE.apply((TRUTH * 2)[::-1, ::-1, 2].T))
    image = nibabel.Nifti1Image(TRUTH, np.eye(4))
    image.header.set_slope_inter(0.5, -10)
    nibabel.save(image, tmp_path / "s.nii")
    written = nibabel.load(tmp_path / "s.nii").get_fdata()
    assert np.allclose(load_volume(tmp_path / "s.nii").array, written)
    rgb = np.zeros(TRUTH.shape, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    rgb["R"][-1] = 250  # the patient's right is red
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), tmp_path / "c.nii")
    picture = np.asarray(load_image(tmp_path / "c.nii").image)
    assert picture[0, 0].tolist() == [250, 0, 0]
    assert picture[0, -1].tolist() == [0, 0, 0]
    with pytest.raises(ImageError, match="in colour"):
        load_image(tmp_path / "c.nii", window="lung")


def test_nrrd_colour_series_and_missing_space(tmp_path):
    path = tmp_path / "v.nrrd"
    colours = np.zeros((3, 4, 5, 2), np.uint8)
    colours[0, 0, 0] = 255
    nrrd.write(str(path), colours, {"kinds": ["RGB-color", "domain", "domain", "domain"]})
    loaded = load_image(path)
    assert loaded.image.size == (4, 5)
    assert np.asarray(loaded.image)[0, 0].tolist() == [255, 0, 0]  # columns and rows as stored
    assert loaded.info.orientation == "assumed"
    layers = np.stack([TRUTH, TRUTH * 3])
    directions = np.vstack([[np.nan] * 3, np.diag([-1.0, -1.0, 1.0])])
    nrrd.write(
        str(path),
        layers,
        {"kinds": ["list", "domain", "domain", "domain"], "space": "LPS", "space directions": directions},
    )
    assert np.array_equal(load_volume(path).array[..., 1], TRUTH * 3)
    assert load_image(path).info.frames == 14


def test_default_window_and_spacing(tmp_path):
    nibabel.save(nibabel.Nifti1Image(TRUTH, np.diag([*SPACING, 1])), tmp_path / "v.nii")
    for axis, spacing, size in (("axial", (2, 1), (5, 6)), ("coronal", (3, 1), (5, 7)), ("sagittal", (3, 2), (6, 7))):
        loaded = load_image(tmp_path / "v.nii", axis=axis)
        assert loaded.info.pixel_spacing == spacing
        assert loaded.image.size == size == image_size(tmp_path / "v.nii", axis=axis)
        assert loaded.info.window["source"] == "percentile"
    with pytest.raises(ImageError, match="no plane"):
        load_image(tmp_path / "v.nii", axis="oblique")
    with pytest.raises(ImageError, match="no slice 7"):
        load_image(tmp_path / "v.nii", frame=7)
    whole = load_volume(tmp_path / "v.nii").window()
    assert (whole.level, whole.width) == ((2 + 207) / 2, 205)


def test_masks_fit_their_image(tmp_path):
    mask = np.zeros(TRUTH.shape, np.uint8)
    mask[1:3, 4, 2], mask[0, 0, 5] = 1, 2
    for codes in ("RAS", "LPS", "SAR"):
        image = nibabel.Nifti1Image(mask, np.eye(4)).as_reoriented(nibabel.orientations.axcodes2ornt(codes))
        nibabel.save(image, tmp_path / "m.nii.gz")
        slices = load_mask_slices(tmp_path / "m.nii.gz")
        assert [piece.frame for piece in slices] == [2, 5]
        for piece in slices:  # lies on the picture of the same frame
            shown = np.asarray(load_image(tmp_path / "m.nii.gz", frame=piece.frame, window="1/1").image)[..., 0]
            assert np.array_equal(shown > 0, piece.labels > 0)
        box = slices[0].box()
        assert (box.xyxy(), box.width, box.height) == ((2, 1, 4, 2), 5, 6)
        assert slices[0].box(2) is None
        assert slices[1].box(2) is not None
    nibabel.save(nibabel.Nifti1Image(mask + 0.5, np.eye(4)), tmp_path / "f.nii")
    with pytest.raises(ImageError, match="fractions"):
        load_mask_slices(tmp_path / "f.nii")


def test_image_and_mask_of_different_places_are_refused(tmp_path):
    moved = np.eye(4)
    moved[0, 3] = 2
    for name, affine in (("a.nii", np.eye(4)), ("b.nii", moved)):
        nibabel.save(nibabel.Nifti1Image(TRUTH, affine), tmp_path / name)
    a, b = load_volume(tmp_path / "a.nii"), load_volume(tmp_path / "b.nii")
    a.check_same_grid(a)
    with pytest.raises(ImageError, match="2 mm away"):
        a.check_same_grid(b)


def nifti_bytes(shape, dtype=np.int16, keep=400, **fields):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["magic"], header["vox_offset"], header["sform_code"] = b"n+1", 352, 1
    header.set_sform(np.eye(4))
    for key, value in fields.items():
        header[key] = value
    return (header.binaryblock + b"\0" * 4 + b"\0" * keep)[: 352 + keep]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (nifti_bytes((30, 30, 30)), "truncated"),
        (gzip.compress(nifti_bytes((30, 30, 30))), "truncated"),
        (gzip.compress(nifti_bytes((3000, 3000, 3000), keep=100_000)), "cannot hold"),
        (nifti_bytes((30000, 30000)), "truncated"),
        (nifti_bytes((5, 5, 5), np.complex64, keep=1000), "complex"),
        (nifti_bytes((5, 5, 2, 1, 3), keep=1000), "vectors"),
        (nifti_bytes((5, 5, 2), keep=1000, magic=b"ni1"), "two-file"),
        (nifti_bytes((5, 5, 2), keep=1000, datatype=9999), "damaged"),
        (nifti_bytes((5, 5, 2), keep=1000, srow_x=[0, 0, 0, 0]), "does not span"),
        (nifti_bytes((5, 5, 2), keep=1000)[:200], "unknown kind"),
        (b"NRRD0004\ntype: short\ndimension: 3\nsizes: 9 9 9\nencoding: raw\nendian: little\n\n1234", "truncated"),
        (
            b"NRRD0004\ntype: short\ndimension: 3\nsizes: 9 9 9\nencoding: gzip\nendian: little\n\n"
            + gzip.compress(b"12"),
            "truncated",
        ),
        (b"NRRD0004\ntype: short\ndimension: 3\nsizes: 90000 9000 900\nencoding: gzip\nendian: little\n\n", "limit"),
        (
            b"NRRD0004\ntype: short\ndimension: 3\nsizes: 9 9 9\nencoding: raw\ndata file: /etc/passwd\n\n",
            "another file",
        ),
        (b"NRRD0004\ntype: block\ndimension: 3\nsizes: 9 9 9\nencoding: raw\n\n", "not a number|damaged"),
        (b"NRRD0004\ntype: short\ndimension: 3\nsizes: 9 -9 9\nencoding: raw\nendian: little\n\n", "no volume"),
        (b"NRRD0004\nnonsense", "damaged"),
    ],
)
def test_hostile(tmp_path, content, reason):
    path = tmp_path / "v"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=reason):
        load_image(path)


def test_gzip_bomb_stays_packed(tmp_path):
    import tracemalloc

    path = tmp_path / "bomb.nii.gz"
    body = nifti_bytes((4, 4, 4), keep=128)
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(body)
        for _ in range(64):
            file.write(b"\0" * (1 << 20))
    nrrd_path = tmp_path / "bomb.nrrd"
    head = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nencoding: gzip\nendian: little\n\n"
    nrrd_path.write_bytes(head + gzip.compress(b"\0" * (64 << 20)))
    load_image(path)
    load_image(nrrd_path)  # imports done
    tracemalloc.start()
    load_image(path)
    load_image(nrrd_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_volume_limit_and_wrong_kind(tmp_path):
    nibabel.save(nibabel.Nifti1Image(TRUTH, np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(ImageError, match="more than the limit of 100"):
        load_volume(tmp_path / "v.nii", max_bytes=100)
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="not a volume"):
        load_volume(tmp_path / "a.png")
