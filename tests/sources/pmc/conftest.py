"""Rehearsal articles, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.sources.pmc.made_articles import make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror of 24 articles, some in several versions, and no broken ones."""
    folder = tmp_path_factory.mktemp("made") / "mirror"
    make(folder, count=24)
    return folder
