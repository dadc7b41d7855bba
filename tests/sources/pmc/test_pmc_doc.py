"""docs/harvest.md names every option that it uses rightly, and every reason for leaving something out."""

from __future__ import annotations

import re

import typer

from osler.cli.data import app
from osler.sources.pmc.made_faults import FAULTS
from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "docs" / "harvest.md").read_text(encoding="utf-8")


def test_options_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    known = {
        option
        for name in ("harvest", "make-articles")
        for parameter in commands[name].params
        for option in parameter.opts
    }
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= known


def test_codes_are_explained() -> None:
    source = "".join(path.read_text() for path in (REPOSITORY / "osler/sources/pmc").glob("*.py"))
    codes = set(re.findall(r'(?:Drop|ObjectProblem)\(\s*"([a-z-]+)"', source)) | {f.code for f in FAULTS.values()}
    assert len(codes) > 20
    for code in codes:
        tail = code.removeprefix("metadata-").removeprefix("xml-").removeprefix("picture-")
        assert f"`{code}`" in TEXT or f"`{tail}`" in TEXT, code
