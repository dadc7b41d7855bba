"""`osler data make-articles` and `osler data harvest`, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Osler

Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(osler: Osler) -> Typed:
    """Exit status and all that was said."""

    def run(*words: object) -> tuple[int, str]:
        done = osler("data", *words)
        return done.status, done.out + done.err

    return run


def test_made_articles_are_harvested_and_checked(typed: Typed, tmp_path: Path) -> None:
    code, said = typed("make-articles", tmp_path / "m", "--count", 11, "--faults", 2)
    assert (code, "11 articles with 27 pictures, 2 broken ones" in said) == (0, True), said
    code, said = typed("harvest", tmp_path / "h", "--mirror", tmp_path / "m", "--workers", 1, "--around", 0)
    assert code == 0, said
    assert "13 articles, 10 with records" in said
    assert "left out       2  xml-broken" in said
    shard = tmp_path / "h/figures/figures-000000.jsonl"
    assert str(shard) in said
    code, said = typed("check", shard, "--images", tmp_path / "m", "--hashes")
    assert code == 0, said
    assert "0 problems with images" in said


def test_filters_reach_the_harvest(typed: Typed, tmp_path: Path) -> None:
    typed("make-articles", tmp_path / "m", "--count", 12)
    code, said = typed(
        "harvest", tmp_path / "h", "--mirror", tmp_path / "m", "--workers", 1, "--licence", "cc by-nc",
        "--licence", "CC0", "--since", "2016", "--until", "2022-06", "--keyword", "image",
        "--language", "any", "--min-side", 10,
    )  # fmt: skip
    assert code == 0, said
    filters = json.loads((tmp_path / "h/harvest.json").read_text())["settings"]["filters"]
    assert (filters["licences"], filters["languages"], filters["min_side"]) == (["CC BY-NC", "CC0"], [], 10)
    assert (filters["published_since"], filters["keywords"]) == ("2016", ["image"])
    assert "date" in said


def test_nothing_kept_is_a_failure_that_says_why(typed: Typed, tmp_path: Path) -> None:
    typed("make-articles", tmp_path / "m", "--count", 1)
    code, said = typed("harvest", tmp_path / "h", "--mirror", tmp_path / "m", "--caption-keyword", "zebra")
    assert (code, "caption-keyword" in said) == (1, True), said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "exactly one of --ids"),
        (("--mirror", "m", "--query", "x"), "exactly one of --ids"),
        (("--mirror", "m", "--date", "born"), "want published"),
        (("--mirror", "m", "--licence", "free"), "licence 'free' is unknown"),
        (("--mirror", "m", "--since", "May"), "is no date"),
        (("--mirror", "m", "--date", "released", "--since", "2020"), "part of a query"),
        (("--mirror", "m", "--format", "csv"), "want jsonl or parquet"),
        (("--mirror", "m", "--limit", "0"), "limit=0"),
        (("--ids", "none.txt"), "cannot be read"),
    ],
)
def test_what_cannot_be(words: tuple[str, ...], reason: str, typed: Typed, tmp_path: Path) -> None:
    code, said = typed("harvest", tmp_path / "h", *words)
    assert code != 0
    assert reason in said


def test_the_source_does_the_same(typed: Typed, tmp_path: Path) -> None:
    typed("make-articles", tmp_path / "m", "--count", 2)
    code, said = typed("get", "pmc-oa", tmp_path / "h", f"mirror={tmp_path / 'm'}", "licences=CC0,CC BY")
    assert code == 0, said
    assert "figures/figures-000000.jsonl: 3 records" in said
    code, said = typed("get", "pmc-oa", tmp_path / "h2")
    assert "needs one of ids=" in said
