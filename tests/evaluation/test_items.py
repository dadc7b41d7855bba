from __future__ import annotations

import os

import numpy as np
from PIL import Image

from osler.evaluation.items import load_images
from osler.records import ImageRef


def test_a_picture_is_read_once_until_its_file_changes(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 6), (200, 0, 0)).save(path)
    first, second = (load_images([ImageRef(path="a.png")], image_folder=tmp_path)[0] for _ in range(2))
    assert first is second
    (smaller,) = load_images([ImageRef(path="a.png")], image_folder=tmp_path, max_side=4)
    assert smaller.size == (4, 3)
    Image.new("RGB", (8, 6), (0, 200, 0)).save(path)
    os.utime(path, ns=(1, 1))
    (changed,) = load_images([ImageRef(path="a.png")], image_folder=tmp_path)
    assert changed.getpixel((0, 0)) == (0, 200, 0)


def test_two_windows_of_one_file_are_two_pictures(tmp_path):
    import nibabel

    volume = np.arange(4 * 4 * 2, dtype=np.int16).reshape(4, 4, 2) * 10
    nibabel.Nifti1Image(volume, np.eye(4)).to_filename(tmp_path / "v.nii.gz")
    wide, narrow = (
        load_images([ImageRef(path="v.nii.gz", frame=1, window=window)], image_folder=tmp_path)[0]
        for window in ({"level": 150.0, "width": 400.0}, {"level": 150.0, "width": 100.0})
    )
    assert wide.tobytes() != narrow.tobytes()
