"""Shared fixtures, and the rule that CI skips nothing silently."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that reaches for a model hub is a broken test
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

REPOSITORY = Path(__file__).resolve().parent.parent
ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the public development data (`vqa_rad/`, `bccd/`, `roco_text/`); skips where it is absent."""
    folder = Path(os.environ.get("OSLER_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("public development data is absent: set OSLER_TEST_DATA to the folder that holds vqa_rad/")
    return folder


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def unexpected_skips(reasons: list[str], allowed: list[str]) -> list[str]:
    return [reason for reason in reasons if not any(re.search(pattern, reason) for pattern in allowed)]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skip for a reason that is not on the list fails the run (pytest's -ra prints them all)."""
    if not os.environ.get("CI"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    lines = ALLOWED_SKIPS.read_text().splitlines()
    allowed = [line for line in lines if line.strip() and not line.startswith("#")]
    bad = unexpected_skips([skip_reason(report) for report in reporter.stats.get("skipped", [])], allowed)
    for reason in sorted(set(bad)):
        reporter.write_line(f"skip not allowed in CI: {reason} (see tests/allowed_skips.txt)", red=True)
    if bad and exitstatus == 0:
        session.exitstatus = 1


@pytest.fixture(scope="session")
def taught(tmp_path_factory) -> Path:
    """A tiny model that has nearly learned to answer `boxed_records`: what a stage with rewards starts from."""
    from osler.training.recipe import parse
    from osler.training.run import train
    from tests import tiny
    from tests.boxed import boxed_records

    folder = tmp_path_factory.mktemp("taught")
    tiny.model("clip").save(folder / "random")
    stage = {
        "name": "sft",
        "train": ["projector", "language"],
        "data": [{"records": str(boxed_records(folder / "data", 8))}],
        "batch_size": 8,
        "max_steps": 120,
        "learning_rate": 1e-2,
        "schedule": "cosine",
        "warmup": 5,
        "checkpoints": 0,
        "log_every": 60,
    }
    recipe = {"name": "t", "out": str(folder / "run"), "report_to": [], "stages": [stage]}
    return train(parse({**recipe, "model": {"start": str(folder / "random")}}), say=lambda _: None).model
