"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that reaches for a model hub is a broken test
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the public development data (`vqa_rad/`, `bccd/`, `roco_text/`); skips where it is absent."""
    folder = Path(os.environ.get("OSLER_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("public development data is absent: set OSLER_TEST_DATA to the folder that holds vqa_rad/")
    return folder
