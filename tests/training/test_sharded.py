"""Weights sharded over two processes (FSDP2) are saved, resumed and merged as those of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from osler.errors import ModelError, OslerError, RecipeError
from osler.training import sharded
from osler.training.recipe import parse
from osler.training.run import train
from tests import tiny

REPOSITORY = Path(__file__).resolve().parents[2]
LORA = {"r": 2, "alpha": 4, "dropout": 0.0, "targets": ["q_proj", "v_proj"]}


def halved(content: dict[str, Any], folder: Path) -> Path:
    """The recipe for two processes: each has half of the batch."""
    stage = content["stages"][0]
    recipe = {**content, "out": str(folder), "stages": [{**stage, "batch_size": stage["batch_size"] // 2}]}
    path = folder.with_suffix(".json")
    path.write_text(json.dumps(recipe))
    return path


def launch(*runs: str) -> str:
    """Train with two sharded processes; gives what they printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command += ["-m", "tests.training.sharded_run", *runs]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def runs(tiny_folder: Path, colour_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two runs, 6 steps an epoch: with adapters, interrupted and resumed; of all weights, interrupted only."""
    folder = tmp_path_factory.mktemp("sharded")
    stage = {
        "name": "two",
        "train": ["projector"],
        "data": [{"records": str(colour_data / "train.jsonl")}],
        "batch_size": 4,
        "learning_rate": 1e-2,
        "log_every": 1,
    }
    recipe = {"name": "tiny", "report_to": [], "model": {"start": str(tiny_folder)}}
    dev = {"records": str(colour_data / "dev.jsonl")}  # 6 records, which two processes cannot share evenly
    adapters = {**recipe, "stages": [{**stage, "lora": LORA, "dev": dev, "epochs": 2, "evaluations": 2}]}
    everything = {**recipe, "stages": [{**stage, "train": ["projector", "language"], "max_steps": 8, "checkpoints": 2}]}
    paths = halved(adapters, folder / "adapters"), halved(everything, folder / "everything")
    said = launch(f"{paths[0]}:8", f"{paths[0]}:-1", f"{paths[1]}:5")
    return {"folder": folder, "adapters": adapters, "everything": paths[1], "said": said}


def losses(folder: Path, key: str) -> list[float]:
    history = json.loads((folder / "two" / "history.json").read_text())
    return [entry[key] for entry in history if key in entry]


def test_interrupted_and_resumed_with_adapters_is_as_by_one_process(runs: dict[str, Any]) -> None:
    """Adapters and a whole projector, the checkpoint with the lowest development loss, a break between: one model."""
    from osler.models import load_model

    both, alone = runs["folder"] / "adapters", runs["folder"] / "alone"
    result = train(parse({**runs["adapters"], "out": str(alone)}), say=lambda _: None)
    assert "resuming from checkpoint-6" in runs["said"]
    same(weights(alone), weights(both))
    assert losses(both, "eval_loss") == pytest.approx(losses(alone, "eval_loss"), rel=1e-5)
    assert losses(both, "loss") == pytest.approx(losses(alone, "loss"), rel=1e-4)
    load_model(both / "model")
    assert json.loads((both / "run.json").read_text())["stages"].keys() == result.stages.keys()


def test_one_process_goes_on_from_a_sharded_checkpoint(runs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Trainer

    stored = runs["folder"] / "everything" / "two" / "checkpoint-3"
    saved = load_file(stored / "model.safetensors")
    moments = torch.load(stored / "optimizer.bin", weights_only=True)["state"]
    seen: dict[str, Any] = {}
    step = Trainer.training_step

    def looks(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        if not seen:
            seen.update({name: (value.detach().clone(), self.optimizer.state[value]["exp_avg"].clone())
                         for name, value in model.named_parameters() if value.requires_grad})  # fmt: skip
            seen["step"] = self.state.global_step
        return step(self, model, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", looks)
    result = train(parse(json.loads(runs["everything"].read_text())), say=lambda _: None)
    assert seen.pop("step") == 3
    assert len(seen) == len(moments) > 10
    for name, (value, moment) in seen.items():
        assert torch.equal(value, saved[name])
        assert torch.equal(moment, moments[name]["exp_avg"])
    assert result.stages["two"]["steps"] == 8
    assert result.model.joinpath("model.safetensors").is_file()


def test_gathered_weights_must_fit() -> None:
    model = tiny.model().model
    given = {name: value.clone() for name, value in model.state_dict().items()}
    sharded.fill(model, {name: value for name, value in given.items() if name != "lm_head.weight"})  # tied
    with pytest.raises(ModelError, match="1 missing"):
        sharded.fill(model, {name: value for name, value in given.items() if "projector.linear_1.w" not in name})
    with pytest.raises(ModelError, match="1 unknown"):
        sharded.fill(model, {**given, "more": torch.zeros(1)})
    with pytest.raises(ModelError, match="do not fit"):
        sharded.fill(model, {**given, "model.multi_modal_projector.linear_1.weight": torch.zeros(1, 1)})


def test_what_sharded_processes_cannot_train(
    tmp_path: Path, recipe_content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(RecipeError, match="fsdp_version: 2"):
        train(parse(recipe_content), say=lambda _: None)
    monkeypatch.setenv("FSDP_VERSION", "2")
    with pytest.raises(RecipeError, match="rewards"):
        sharded.check("reward", rewards=True)
    sharded.check("one", rewards=False)
    with pytest.raises(RecipeError, match="on GPUs only"):
        sharded.check_trainer(SimpleNamespace(is_fsdp_enabled=False, accelerator=SimpleNamespace(num_processes=2)))
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "true")
    with pytest.raises(RecipeError, match="ram_efficient_loading: false"):
        sharded.check("one", rewards=False)
    with pytest.raises(ModelError, match="without sharding"):
        sharded.load_optimiser(None, tmp_path)
    assert issubclass(ModelError, OslerError)
