"""A run that is killed with SIGKILL and resumed ends bit for bit like one that was left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def run(content: dict[str, Any], folder: Path, *, kill_at: int = 0, where: str = "never") -> int:
    recipe = folder / "recipe.json"
    recipe.write_text(json.dumps({**content, "out": str(folder / "run")}))
    command = [sys.executable, "-m", "tests.training.killed_run", str(recipe), str(folder / "log"), str(kill_at), where]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=folder, timeout=300, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-3000:]
    return done.returncode


def order(folder: Path) -> dict[str, str]:
    """Step to batch; a step that was repeated after a kill must have seen the same batch."""
    seen: dict[str, str] = {}
    for line in (folder / "log").read_text().splitlines():
        step, batch = line.split()
        assert seen.setdefault(step, batch) == batch, f"step {step} saw another batch after resuming"
    return seen


@pytest.fixture
def content(recipe_content: dict[str, Any]) -> dict[str, Any]:
    """One stage with dropout (random state matters), evaluations and checkpoints: 12 steps, a checkpoint every 3."""
    stage = recipe_content["stages"][1]
    stage.update(
        train=["projector"],
        lora={"r": 2, "alpha": 4, "dropout": 0.2, "targets": ["q_proj", "v_proj"]},
        epochs=2,
        evaluations=2,
    )
    recipe_content["stages"] = [stage]
    return recipe_content


def test_killed_anywhere_and_resumed_is_bit_identical(content: dict[str, Any], tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    assert run(content, whole) == 0
    points = random.Random(20).sample(range(2, 8), 2)
    for kill_at in points:  # steps counted in each process: later ones die further on
        assert run(content, broken, kill_at=kill_at, where="step") == -signal.SIGKILL
    # the first torch.save of a checkpoint writes the optimiser: die with half of it on the disk
    assert run(content, broken, kill_at=1, where="save") == -signal.SIGKILL
    torn = [p for p in (broken / "run" / "two").glob("checkpoint-*") if not (p / "osler_complete.json").exists()]
    assert len(torn) == 1, "the kill was to leave one incomplete checkpoint"
    assert run(content, broken) == 0
    for file in ("model.safetensors", "config.json"):
        assert (broken / "run" / "model" / file).read_bytes() == (whole / "run" / "model" / file).read_bytes()
    assert (broken / "log.optimiser").read_text() == (whole / "log.optimiser").read_text()
    assert order(broken) == order(whole)
    assert len(order(whole)) == 12
    losses = [json.loads((f / "run" / "two" / "history.json").read_text()) for f in (whole, broken)]
    kept = [[(e["step"], e["eval_loss"]) for e in history if "eval_loss" in e] for history in losses]
    assert kept[0] == kept[1]
