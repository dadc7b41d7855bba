"""The study's machinery: grid, one real run end to end, resume, results, report."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from osler.cli.app import app
from osler.record_files import read_records
from osler.sources import phantom
from osler.study import grid, pretrained_language, pretrained_vision, schedule
from osler.study.grid import Run, StudyError
from osler.study.one_run import Setting, execute, settings_hash
from osler.study.report import write_report
from osler.study.results import Items, finished, read_result, read_results, write_items, write_result
from osler.study.small_model import build_base, count_weights
from osler.study.tables import Study, accuracy_table, difference_table

QUICK = (
    "stages.pretrain.max_steps=3",
    "stages.pretrain.batch_size=8",
    "stages.finetune.max_steps=2",
    "stages.finetune.batch_size=8",
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("study")
    phantom.build(folder / "data", size="tiny", seed=0)
    # retrieval wants a pool of 64; the tiny set has six such records, so they stand there eleven times
    lines = (folder / "data" / "heldout.jsonl").read_text().splitlines()
    copies = [line.replace('"id":"', f'"id":"{copy}', 1) for copy in range(11) for line in lines]
    (folder / "data" / "heldout.jsonl").write_text("\n".join(copies) + "\n")
    made = Setting(folder / "data", folder / "work", folder / "results", QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained_vision, "PICTURES", 256)
        patch.setattr(pretrained_vision, "STEPS", 3)
        patch.setattr(pretrained_language, "RECORDS", 64)
        patch.setattr(pretrained_language, "STEPS", 2)
        build_base(made.base(0), seed=0)
        yield made


def test_the_model_is_small_and_whole(taught: Setting) -> None:
    assert count_weights(taught.base(0)) < 5_000_000
    before = (taught.base(0) / "model.safetensors").stat().st_mtime_ns
    assert build_base(taught.base(0), seed=0) == taught.base(0)
    assert (taught.base(0) / "model.safetensors").stat().st_mtime_ns == before


@pytest.fixture(scope="module")
def runs(taught: Setting) -> list[Run]:
    wanted = [Run(0, 1.0, "none"), Run(0, 1.0, "none", "compute"), Run(0, 0.4, "graph_improved")]
    for run in wanted:
        execute(run, taught)
    return wanted


def test_a_run_writes_all_that_the_tables_need(taught: Setting, runs: list[Run]) -> None:
    result = read_result(taught.results / "graph_improved-0.4-s0-steps.json")
    content = result.content
    questions = list(read_records(taught.data / "test.jsonl"))
    assert len(result.right) == len(questions)
    assert content["accuracy"] == pytest.approx(np.mean(result.right))
    assert content["pretrain"]["alignment"]["barycenter"] == "leave_one_out"
    assert 0 <= content["retrieval"]["image_to_answers_r1"] <= 1
    assert content["pretrain"]["last_logged"].keys() >= {"loss", "align_loss", "align_hamming_leave_one_out"}
    assert (taught.results / "graph_improved-0.4-s0-steps.json").stat().st_size < 60_000
    assert not (taught.work / "graph_improved-0.4-s0-steps").exists()  # models of finished runs are deleted
    plain = read_result(taught.results / "none-1-s0-steps.json").content
    assert plain["controls"].keys() == {"blank", "majority"}


def test_the_subset_can_be_made_again_from_its_rule(taught: Setting, runs: list[Run]) -> None:
    subset = read_result(taught.results / "graph_improved-0.4-s0-steps.json").content["subset"]
    ids = [record.id for record in read_records(taught.data / "instruct.jsonl")]
    assert subset["records"] == round(0.4 * len(ids))
    chosen = sorted(ids, key=lambda name: hashlib.sha256(f"0:{name}".encode()).hexdigest())[: subset["records"]]
    assert subset["ids_sha256"] == hashlib.sha256("\n".join(sorted(chosen)).encode()).hexdigest()


def test_equal_compute_means_more_steps(taught: Setting, runs: list[Run]) -> None:
    content = read_result(taught.results / "none-1-s0-compute.json").content
    tokens = content["pretrain"]["tokens_a_record"]
    assert content["pretrain"]["steps"] == round(3 * (tokens["main"] + tokens["text"]) / tokens["main"]) > 3


def test_finished_runs_are_skipped_and_other_settings_refused(
    taught: Setting, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    assert schedule.run_all(runs, taught, jobs=1, say=said.append) == 0
    assert said == ["3 of 3 runs are done already"]
    other = Setting(taught.data, taught.work, taught.results, ("stages.pretrain.max_steps=4", *QUICK[1:]))
    with pytest.raises(StudyError, match=r"none-1-s0-steps\.json: was run with other settings"):
        schedule.run_all(runs, other, jobs=1, say=said.append)
    monkeypatch.setattr(pretrained_vision, "STEPS", 7)
    assert (
        settings_hash(runs[0], taught)
        != read_result(taught.results / "none-1-s0-steps.json").content["settings_sha256"]
    )


def test_absent_data_are_named(tmp_path: Path) -> None:
    absent = Setting(tmp_path / "none", tmp_path / "work", tmp_path / "results")
    with pytest.raises(StudyError, match=r"manifest\.json: no such file.*osler data get phantom"):
        schedule.run_all(grid.all_runs(), absent, jobs=1, say=print)


def test_too_few_held_out_records_are_told_before_a_run(tmp_path: Path) -> None:
    phantom.build(tmp_path / "data", size="tiny", seed=0)
    small = Setting(tmp_path / "data", tmp_path / "work", tmp_path / "results")
    with pytest.raises(StudyError, match=r"heldout\.jsonl: 6 records; retrieval needs 64"):
        schedule.run_all(grid.all_runs(), small, jobs=1, say=print)


def test_a_killed_worker_ends_its_run_and_no_other(
    taught: Setting, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that gets the first run is killed each time; the second run is done by others."""
    monkeypatch.setattr(schedule, "_do", killed_at_seed_one)
    said: list[str] = []
    progress = schedule._Progress(taught, 2, said.append)
    assert progress.work_off([Run(1, 0.1, "none"), Run(0, 0.1, "none")], jobs=1) == 1
    assert "none-0.1-s1-steps: failed: its worker was killed twice" in "".join(said)
    assert "none-0.1-s0-steps: 50.0 % right" in "".join(said)


def killed_at_seed_one(run: Run, setting: Setting) -> tuple[float, float]:
    if run.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.5, 0.0


def made_up(folder: Path) -> Items:
    random = np.random.default_rng(0)
    tags = [
        {"question_type": "side", "combination": "seen" if k % 3 else "unseen", "wording": "seen"} for k in range(60)
    ]
    items = Items([f"q{k}" for k in range(60)], [f"i{k // 5}" for k in range(60)], tags)
    write_items(folder, items)
    for run in grid.all_runs(("none", "infonce"), (0.1, 1.0), (0, 1)):
        right = (random.random(60) < (0.4 if run.variant == "none" else 0.7)).astype(int)
        content: dict[str, Any] = {
            "settings_sha256": "x",
            "items_sha256": items.fingerprint,
            "accuracy": float(right.mean()),
            "controls": {"blank": 0.3, "majority": 0.25} if run.fraction == 1 else {},
            "retrieval": dict.fromkeys(
                ("image_to_answers_r1", "answers_to_image_r1", "answers_to_extended_r1", "hamming_leave_one_out"), 0.5
            ),
            "pretrain": {"steps": 10},
            "seconds": {"training": 1.0},
            "machine": {"processor": "test", "torch": "2", "transformers": "5"},
            "right": "".join(map(str, right)),
        }
        write_result(folder, run, content)
    return items


def test_the_report_is_rebuilt_from_the_results_alone(tmp_path: Path) -> None:
    results = tmp_path / "results"
    made_up(results)
    (tmp_path / "study_reading.md").write_text("## Reading\n\nWritten by hand.\n")
    write_report(results, tmp_path / "study.md")
    first = (tmp_path / "study.md").read_text()
    assert "Written by hand." in first
    assert "| InfoNCE |" in first
    assert (tmp_path / "study.png").read_bytes().startswith(b"\x89PNG")
    write_report(results, tmp_path / "study.md")
    assert (tmp_path / "study.md").read_text() == first


def test_tables_hold_the_means(tmp_path: Path) -> None:
    items = made_up(tmp_path)
    study = Study(items, read_results(tmp_path))
    runs = study.cell("infonce", 0.1)
    mean = 100 * np.mean([run.right for run in runs])
    assert f"| InfoNCE | {mean:.1f} (" in accuracy_table(study, "steps")
    base = 100 * np.mean([run.right for run in study.cell("none", 0.1)])
    assert f"| InfoNCE | {mean - base:+.1f} (" in difference_table(study, "steps")
    assert study.accuracy("none", 0.1, keep=lambda tags: tags["combination"] == "unseen").clusters == 12


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"schema": 1}',
        '{"schema": 1, "seed": 0, "fraction": 1, "variant": "none", "budget": "steps", "right": "012"}',
    ],
)
def test_a_broken_result_is_named(tmp_path: Path, text: str) -> None:
    made_up(tmp_path)
    path = tmp_path / "none-1-s0-steps.json"
    path.write_text(text)
    with pytest.raises(StudyError, match=r"none-1-s0-steps\.json: .*delete it"):
        read_results(tmp_path)
    with pytest.raises(StudyError, match="delete it"):
        finished(tmp_path, [Run(0, 1.0, "none")], lambda _: "x")


def test_results_of_other_questions_are_refused(tmp_path: Path) -> None:
    made_up(tmp_path)
    content = json.loads((tmp_path / "none-1-s0-steps.json").read_text())
    (tmp_path / "none-1-s0-steps.json").write_text(json.dumps({**content, "items_sha256": "y"}))
    with pytest.raises(StudyError, match="answers other questions"):
        read_results(tmp_path)
    with pytest.raises(StudyError, match="other test questions"):
        write_items(tmp_path, Items(["a"], ["b"], [{"question_type": "side"}]))


def test_the_command_lists_what_is_left(taught: Setting, runs: list[Run]) -> None:
    options = ["study", "data-efficiency", "--data", str(taught.data), "--out", str(taught.work), "--results"]
    options += [str(taught.results), "--only", "variant=none,seed=0,fraction=1", "--dry-run"]
    for change in QUICK:
        options += ["--set", change]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    assert "none-1-s0-steps" in done.output
    assert "2 of 2 done" in done.output
