from __future__ import annotations

import json
import re

import pytest

from osler.errors import EvaluationError
from osler.evaluation.compare import compare_many, compare_runs
from osler.evaluation.compare_report import comparison_markdown, rows, write_comparison

from .test_more_controls import Text
from .test_report import check
from .test_run import Oracle, run


@pytest.fixture
def runs(record_folder, tmp_path):
    """Three runs of one benchmark: all right, right where the picture does not matter, always "CT"."""
    made = []
    for name, runner in (
        ("good/eval", Oracle(record_folder)),
        ("half/eval", Oracle(record_folder, looks=False)),
        ("poor/eval", Text()),
    ):
        run(runner, record_folder, tmp_path / name, controls=("blank",))
        made.append(tmp_path / name)
    return made


def test_all_pairs_of_three_runs_are_compared_and_corrected(runs):
    found = compare_many(runs)
    assert [entry["name"] for entry in found["runs"]] == ["good/eval", "half/eval", "poor/eval"]
    pairs = found["protocols"]["strict-exact-match"]["pairs"]
    assert [(p["first"], p["second"]) for p in pairs] == [
        ("good/eval", "half/eval"), ("good/eval", "poor/eval"), ("half/eval", "poor/eval"),
    ]  # fmt: skip
    two = compare_runs(runs[0], runs[1])["protocols"]["strict-exact-match"]
    assert {key: pairs[0][key] for key in ("difference", "low", "high", "p_value", "n")} == {
        key: two[key] for key in ("difference", "low", "high", "p_value", "n")
    }
    least = min(pairs, key=lambda pair: pair["p_value"])
    assert least["p_holm"] == pytest.approx(min(1.0, 3 * least["p_value"]))
    assert all(pair["p_holm"] >= pair["p_value"] for pair in pairs)
    assert least["mcnemar"]["p_holm"] >= least["mcnemar"]["p_value"]
    assert found["protocols"]["strict-exact-match"]["runs"]["good/eval"]["mean"] == 1.0
    assert pairs[1]["difference"] == 1.0
    assert "decoding" in found["settings_that_differ"]


def test_two_runs_need_no_correction(runs):
    pair = compare_many(runs[:2])["protocols"]["yes-no"]["pairs"][0]
    assert pair["p_holm"] == pair["p_value"]
    assert pair["smallest_detectable"] is None or pair["smallest_detectable"] > 0


def test_runs_of_different_benchmarks_are_refused_by_what_differs(runs, record_folder, tmp_path):
    run(Oracle(record_folder), record_folder, tmp_path / "few", controls=(), limit=5)
    with pytest.raises(
        EvaluationError, match=r"runs of different benchmarks: task items is 12 against 5; data hash is"
    ):
        compare_many([runs[0], tmp_path / "few"])
    with pytest.raises(EvaluationError, match="at least two"):
        compare_many(runs[:1])
    with pytest.raises(EvaluationError, match=r"scores\.json: cannot be read"):
        compare_many([runs[0], tmp_path])
    run(Oracle(record_folder), record_folder, tmp_path / "full" / "few", controls=())
    with pytest.raises(EvaluationError, match=r"not in both of .*few lacks it"):
        compare_many([runs[0], tmp_path / "full" / "few"], condition="blank")


def test_the_page_and_the_markdown_hold_what_the_table_holds(runs, tmp_path):
    found = compare_many(runs)
    text, _ = check(write_comparison(found, tmp_path / "c.html"))
    for row in rows(found):
        assert row[3] in text
    assert "corrected for 3 pairs" in text
    markdown = comparison_markdown(found)
    assert markdown.count("\n| strict-exact-match |") == 3
    assert len({line.count("|") for line in markdown.splitlines() if line.startswith("| strict")}) == 1


def test_the_command(runs, tmp_path, capsys, monkeypatch):
    import sys

    from osler.cli import main

    def osler(*arguments):
        monkeypatch.setattr(sys, "argv", ["osler", "compare", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as error:
            status = error.code or 0
        return status, capsys.readouterr()

    status, shown = osler(*runs, "--out", tmp_path / "c.json")
    assert status == 0
    assert "Holm" in shown.out
    assert json.loads((tmp_path / "c.json").read_text())["items"] == 12
    status, shown = osler(*runs[:2], "--json")
    assert json.loads(shown.out)["protocols"]["yes-no"]["n"] == 8
    status, shown = osler(runs[0])
    assert status == 2
    assert "at least two" in shown.err
    status, shown = osler(*runs, "--out", tmp_path / "c.pdf")
    assert status == 2
    assert re.search(r"\.html, \.json or \.md", shown.err)
