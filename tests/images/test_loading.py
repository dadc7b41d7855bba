"""The package as others see it: cheap to import, every public name there, no GPL decoder, pictures always RGB."""

from __future__ import annotations

import subprocess
import sys

import osler.images


def test_import_is_cheap():
    code = (
        "import sys, osler.images; names = set(sys.modules); "
        "print(sorted(names & {'torch', 'pydicom', 'nibabel', 'PIL', 'numpy', 'imagehash', 'nrrd', 'gdcm'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_loading_pictures_loads_no_torch(pydicom_files):
    code = (
        "import sys; from osler.images import load_image, perceptual_hash; "
        f"perceptual_hash(load_image({str(pydicom_files / 'MR_small.dcm')!r}).image); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_every_public_name_exists():
    for name in osler.images.__all__:
        assert getattr(osler.images, name) is not None


def test_directly_and_through_the_top_package():
    import osler

    assert osler.load_image is osler.images.load_image
