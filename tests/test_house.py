"""The house's own rules: quick import, no torch at import, skips under control, no traces of where it was built."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ALLOWED_SKIPS, REPOSITORY, unexpected_skips


def test_import_osler_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, osler, osler.records, osler.boxes, osler.images, osler.sources, osler.evaluation.protocols, "
        "osler.training, osler.models, osler.cli.app; "
        "heavy = {'torch', 'transformers', 'pydicom', 'nibabel', 'matplotlib'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_skip_that_is_not_on_the_list_is_found() -> None:
    allowed = [line for line in ALLOWED_SKIPS.read_text().splitlines() if line and not line.startswith("#")]
    assert unexpected_skips(["public development data is absent: set X", "I felt like it"], allowed) == [
        "I felt like it"
    ]


def test_the_lock_names_no_address_and_no_build() -> None:
    for line in (REPOSITORY / "requirements.lock").read_text().splitlines():
        if not line.startswith("#"):
            assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line
            assert not line.lower().startswith("nvidia"), "CUDA parts belong to the torch build that a user chooses"


def test_no_address_of_a_package_index_and_no_path_of_a_machine() -> None:
    # spelt in parts, so that this file does not name them either
    words = [
        "pypi" + ".org",
        "files.python" + "hosted",
        "registry.npm" + "js",
        "deb.deb" + "ian",
        "/" + "work/",
        "/tmp/" + "pk",
    ]
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\n"):
        path = REPOSITORY / name
        if not name or not path.is_file() or path.suffix in {".png", ".jpg", ".gz", ".dcm", ".safetensors"}:
            continue
        text = path.read_text(errors="replace")
        found = [word for word in words if word in text]
        assert not found, f"{name} names {found}"


def test_files_stay_small() -> None:
    long = {
        str(path.relative_to(REPOSITORY)): lines
        for path in Path(REPOSITORY, "osler").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 480
    }
    assert not long, f"these files hold more than one idea: {long}"
