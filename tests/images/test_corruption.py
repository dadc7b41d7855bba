"""Broken bytes end in an ImageError or in a picture, never in another exception: truncation and bit flips."""

from __future__ import annotations

import random
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
from PIL import Image

from osler.errors import ImageError
from osler.images import image_size, load_image

CASES = 12  # a file; some 30 files

RASTER = ("a.png", "deep.png", "a.jpg", "cmyk.jpg", "lzw.tif", "raw.tif", "a.webp", "moving.webp", "a.gif", "a.bmp")
VOLUMES = ("v.nii", "v.nii.gz", "v.nrrd", "packed.nrrd")
DICOM = (
    "MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_gdcm_KY.dcm",
    "JPEGLSNearLossless_16.dcm", "image_dfl.dcm", "JPEG-lossy.dcm", "test-SR.dcm", "rtplan.dcm",
)  # fmt: skip


def make(folder: Path, name: str) -> Path:
    path = folder / name
    pixels = np.random.default_rng(0).integers(0, 255, (20, 26, 3), np.uint8)
    image = Image.fromarray(pixels)
    if name.endswith((".nii", ".nii.gz")):
        nibabel.save(nibabel.Nifti1Image(pixels.astype(np.int16), np.diag([-1, 1, 2, 1])), path)
    elif name.endswith(".nrrd"):
        nrrd.write(str(path), pixels, {"encoding": "gzip" if name == "packed.nrrd" else "raw"})
    elif name == "deep.png":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 100).save(path)
    elif name == "cmyk.jpg":
        image.convert("CMYK").save(path)
    elif name == "lzw.tif":
        image.save(path, compression="tiff_lzw")
    elif name in ("a.gif", "moving.webp"):
        image.save(path, save_all=True, append_images=[image.rotate(180)])
    else:
        image.save(path)
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*RASTER, *VOLUMES, *DICOM])
def test_corrupted(tmp_path, name, request):
    source = request.getfixturevalue("pydicom_files") / name if name in DICOM else make(tmp_path, name)
    whole = source.read_bytes()
    broken = tmp_path / "broken"
    refused = stray = 0
    for case in range(CASES):
        draw = random.Random(f"{name} {case}")
        data = bytearray(whole)
        if case % 3 == 0:
            del data[draw.randrange(len(data)) :]
        else:
            for _ in range(draw.choice((1, 3, 20))):
                at = draw.randrange(min(len(data), draw.choice((400, 2000, len(data)))))
                data[at] = draw.choice((draw.randrange(256), data[at] ^ 1 << draw.randrange(8), 0, 255))
        broken.write_bytes(data)
        for read in (lambda: load_image(broken, max_side=32), lambda: image_size(broken)):
            try:
                read()
            except ImageError as error:
                refused += 1
                stray += not str(error).startswith(str(broken))
    assert not stray, "a message does not begin with the path"
    assert refused, "nothing was refused: the corruption does not reach this format"
