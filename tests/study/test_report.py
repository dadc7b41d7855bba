from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from osler.study import tables
from osler.study.grid import Run, StudyError
from osler.study.report import write_report
from osler.study.results import path_of, read_items, read_results
from osler.study.tables import Study
from tests.study import fake


@pytest.fixture
def study(tmp_path: Path) -> Study:
    fake.write(tmp_path)
    return Study(read_items(tmp_path), read_results(tmp_path))


def row(table: str, label: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_cells_are_means_over_seeds_and_aligned_runs_count_for_both_budgets(study: Study) -> None:
    for budget in ("steps", "compute"):
        table = tables.accuracy_table(study, budget)  # type: ignore[arg-type]
        assert [cell.split()[0] for cell in row(table, "none")] == ["8.3", "33.3"]
        assert [cell.split()[0] for cell in row(table, "InfoNCE")] == ["16.7", "75.0"]


def test_differences_are_paired_and_starred_only_without_zero(study: Study) -> None:
    small, large = row(tables.difference_table(study, "steps"), "InfoNCE")
    assert small.startswith("+8.3 (")
    assert not small.endswith("*"), "one question more, on one of four pictures"
    assert large.startswith("+41.7 (")
    found = study.difference("infonce", 1.0)
    assert found is not None
    assert large.endswith("*") == (found.low > 0)


def test_a_difference_takes_only_the_seeds_that_both_have(study: Study) -> None:
    left = [r for r in study.results if (r.run.variant, r.run.seed) != ("none", 1)]
    found = Study(study.items, left).difference("infonce", 1.0)
    assert found is not None
    assert found.seeds == 1


def test_subgroups_count_their_own_questions(study: Study) -> None:
    table = tables.subgroup_table(study, "combination")
    assert "seen (n=6)" in table
    block = table.split("100 % of the data:")[1]
    assert [cell.split()[0] for cell in row(block, "InfoNCE")] == ["100.0", "50.0"]


def test_controls_and_retrieval(study: Study) -> None:
    assert row(tables.control_table(study), "none")[1:] == ["25.0", "50.0"]
    assert row(tables.retrieval_table(study), "none")[0] == "18.8 (12.5 to 25.0)"


def test_the_report_is_rebuilt_to_the_byte(tmp_path: Path) -> None:
    fake.write(tmp_path / "results")
    written = []
    for name in ("a", "b"):
        write_report(tmp_path / "results", tmp_path / name / "study.md")
        written.append([(tmp_path / name / f"study.{kind}").read_bytes() for kind in ("md", "png")])
    assert written[0] == written[1]
    with Image.open(tmp_path / "a" / "study.png") as picture:
        assert picture.width > 1000
    text = written[0][0].decode()
    assert "12 runs: 2 objectives, 2 shares of the instruction data, 2 seeds" in text
    assert "12 questions on 4 pictures" in text


def test_a_cell_that_is_not_run_yet_is_a_dash(tmp_path: Path) -> None:
    fake.write(tmp_path)
    for seed in (0, 1):
        path_of(tmp_path, Run(seed, 0.1, "infonce")).unlink()
    study = Study(read_items(tmp_path), read_results(tmp_path))
    assert row(tables.accuracy_table(study, "steps"), "InfoNCE")[0] == "-"
    assert row(tables.difference_table(study, "steps"), "InfoNCE")[0] == "-"


def test_without_results_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"items\.json: there is no such file"):
        write_report(tmp_path, tmp_path / "study.md")
