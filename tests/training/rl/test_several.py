"""GRPO on two processes: prompts shared out, one policy, rewards logged once, the same bits after a break."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from osler.errors import RecipeError
from osler.training.recipe import parse
from osler.training.rl.stage import check_stage
from osler.training.run import train
from tests.boxed import content

REPOSITORY = Path(__file__).resolve().parents[3]
STEPS = 4


@pytest.fixture(scope="module")
def runs(taught, tmp_path_factory):
    """A whole run, and one that is interrupted after the third step and resumed from the second."""
    if find_spec("trl") is None:
        pytest.skip("TRL is not installed")
    folder = tmp_path_factory.mktemp("several")
    for name in ("whole", "broken"):
        recipe = content(folder / name, taught, method="grpo", max_steps=STEPS, checkpoints=1)
        (folder / f"{name}.json").write_text(json.dumps(recipe))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command += ["-m", "tests.training.rl.several", str(folder), f"{folder / 'whole.json'}:-1"]
    command += [f"{folder / 'broken.json'}:3", f"{folder / 'broken.json'}:-1"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resuming from checkpoint-2" in done.stdout
    return folder, [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


def test_every_process_has_its_own_prompts_in_whole_groups(runs):
    _, (first, second) = runs
    assert len(first[0]["ids"]) == len(second[0]["ids"]) == STEPS
    met = []
    for one, other in zip(first[0]["ids"], second[0]["ids"], strict=True):
        for ids in (one, other):
            assert ids == [ids[0]] * 4 + [ids[4]] * 4, "two prompts, four completions each, side by side"
        met += [one[0], one[4], other[0], other[4]]
    records = {f"box-{number}" for number in range(8)}
    assert set(met[:8]) == set(met[8:]) == records, "each record once an epoch"


def test_one_policy(runs, taught):
    folder, (first, second) = runs
    assert first[0]["weights"] == second[0]["weights"]
    before, after = (load_file(part / "model.safetensors") for part in (taught, folder / "whole" / "run" / "model"))
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_rewards_are_logged_once_over_all_processes(runs):
    folder, (first, second) = runs
    history = json.loads((folder / "whole" / "run" / "reward" / "history.json").read_text())
    lines = [entry for entry in history if "rewards/sum/mean" in entry]
    assert [entry["step"] for entry in lines] == list(range(1, STEPS + 1))
    for entry, one, other in zip(lines, first[0]["rewards"], second[0]["rewards"], strict=True):
        assert entry["rewards/sum/mean"] == pytest.approx(sum(one + other) / 16, rel=1e-5)
        assert entry["reward"] == pytest.approx(entry["rewards/sum/mean"], rel=1e-5)
    assert any(sum(one) != sum(other) for one, other in zip(first[0]["rewards"], second[0]["rewards"], strict=True))
    samples = [json.loads(line) for line in (folder / "whole" / "run" / "reward" / "samples" / "samples.jsonl").open()]
    assert [line["step"] for line in samples] == [1] * 4 + [3] * 4


def test_interrupted_and_resumed_gives_the_same_bits(runs):
    folder, ranks = runs
    for whole, _, resumed in ranks:
        assert resumed["ids"] == whole["ids"][2:]
        assert resumed["rewards"] == whole["rewards"][2:]
        assert resumed["weights"] == whole["weights"]
    whole, broken = (load_file(folder / name / "run" / "model" / "model.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_records_must_fill_a_step_of_all_processes(tmp_path, taught, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(RecipeError, match="fewer than a step's 16 prompts"):
        train(parse(content(tmp_path, taught, method="grpo")), say=lambda _: None)
    with pytest.raises(RecipeError, match="one process"):
        check_stage(parse(content(tmp_path, taught, method="ppo")).stages[0], None)
