"""Whole runs with an alignment objective: log, plain model, adapters, resume, refusal."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from osler.errors import RecipeError
from osler.models import load_model
from osler.training import recipe as recipes
from osler.training.run import train
from tests.training.test_resume import run as run_process


def test_a_run_logs_the_alignment_and_leaves_a_plain_model(aligned: dict[str, Any], plain_folder: Path) -> None:
    result = train(recipes.parse(aligned), say=lambda _: None)
    history = json.loads((result.folder / "two" / "history.json").read_text())
    steps = [entry for entry in history if "align_loss" in entry]
    assert len(steps) == 6
    for entry in steps:
        assert 0 <= entry["align_loss"] <= 2
        assert 0 <= entry["align_hamming_leave_one_out"] <= 2
        assert 0 <= entry["align_r1_answers_to_extended"] <= 1
        assert entry["align_text_passes"] == 1
        assert entry["align_nodes"] == 8
    plain, trained = load_model(plain_folder).model.state_dict(), load_model(result.model).model.state_dict()
    assert plain.keys() == trained.keys()
    head = load_file(result.folder / "two" / "alignment_head.safetensors")
    assert head["loss.messages.convolutions.0.relation.weight"].shape == (32, 32)
    assert "alignment" in json.loads((result.folder / "run.json").read_text())["stages"]["two"]["trainable"]


def test_none_is_the_plain_stage(aligned: dict[str, Any], tmp_path: Path) -> None:
    """A weight of zero trains the weights that no alignment objective trains."""
    aligned["stages"][0]["objectives"] = {"autoregressive": 1.0, "graph_alignment": 0.0}
    zero = train(recipes.parse({**aligned, "out": str(tmp_path / "zero")}), say=lambda _: None)
    aligned["stages"][0]["objectives"] = {"autoregressive": 1.0}
    none = train(recipes.parse({**aligned, "out": str(tmp_path / "none")}), say=lambda _: None)
    a, b = load_model(zero.model).model.state_dict(), load_model(none.model).model.state_dict()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objective", ["graph_alignment", "siglip"])
def test_with_adapters(aligned: dict[str, Any], plain_folder: Path, objective: str) -> None:
    stage = aligned["stages"][0]
    stage["objectives"] = {"autoregressive": 1.0, objective: 1.0}
    stage.update(train=["projector"], lora={"r": 4, "alpha": 8, "targets": ["q_proj"]}, gradient_checkpointing=True)
    result = train(recipes.parse(aligned), say=lambda _: None)
    before, after = load_model(plain_folder).model.state_dict(), load_model(result.model).model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("q_proj" in name for name in changed)
    assert any("projector" in name for name in changed)
    head = load_file(result.folder / "two" / "alignment_head.safetensors")
    assert all("lora" not in name and "original" not in name for name in head)


@pytest.mark.parametrize("lora", [False, True])
def test_killed_and_resumed_is_bit_identical(aligned: dict[str, Any], tmp_path: Path, lora: bool) -> None:
    stage = aligned["stages"][0]
    if lora:
        stage.update(train=["projector"], lora={"r": 2, "alpha": 4, "dropout": 0.2, "targets": ["q_proj"]})
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    assert run_process(aligned, whole) == 0
    assert run_process(aligned, broken, kill_at=5, where="step") == -signal.SIGKILL
    assert (broken / "run" / "two" / "checkpoint-3" / "osler_complete.json").is_file()
    assert run_process(aligned, broken) == 0
    for file in ("model/model.safetensors", "two/alignment_head.safetensors"):
        assert (broken / "run" / file).read_bytes() == (whole / "run" / file).read_bytes()
    assert (broken / "log.optimiser").read_text() == (whole / "log.optimiser").read_text()


def test_accumulated_passes_average_their_alignment(aligned: dict[str, Any], tmp_path: Path) -> None:
    """Two passes over the same records at once accumulate to the gradient of one: SGD-like check by equal weights."""
    calm = {"node_noise": 0.0, "edge_noise": 0.0, "message_dropout": 0.0}
    stage = aligned["stages"][0]
    stage.update(alignment=calm, max_steps=1, schedule="constant", warmup=0)
    from osler.training.trainer import OslerTrainer

    seen: list[dict[str, torch.Tensor]] = []
    for accumulate in (1, 2):
        stage.update(accumulate=accumulate, batch_size=8)
        original = OslerTrainer.get_batch_samples

        def twice(self: Any, iterator: Any, count: int, *args: Any, _original: Any = original) -> Any:
            batches, tokens = _original(self, iterator, 1, *args)
            return batches * count, tokens * count  # the same batch in every pass

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OslerTrainer, "get_batch_samples", twice)
            result = train(recipes.parse({**aligned, "out": str(tmp_path / str(accumulate))}), say=lambda _: None)
        seen.append(load_model(result.model).model.state_dict())
    for name in seen[0]:
        torch.testing.assert_close(seen[0][name], seen[1][name], rtol=1e-3, atol=1e-4)


def test_records_without_extended_texts_are_refused_before_a_model_is_loaded(
    aligned: dict[str, Any], extended_data: Path
) -> None:
    stage = aligned["stages"][0]
    stage["data"], stage["dev"] = [{"records": str(extended_data / "dev.jsonl")}], None
    aligned["model"]["start"] = None
    with pytest.raises(RecipeError, match="no extended text"):
        train(recipes.parse(aligned), say=lambda _: None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alignment": {"barycentre": "pairwise"}}, "did you mean 'barycenter'"),
        ({"alignment": {"preset": "published"}}, "preset"),
        ({"objectives": {"graph_alignment": 1, "infonce": 1}}, "at most one of"),
        ({"objectives": {"autoregressive": 1}, "alignment": {}}, "no objective is one of"),
        ({"alignment": {"modalities": ["image", "image"]}}, "must differ"),
        ({"alignment": {"text_states": "main_pass", "preset": "released"}}, "pooling: tokens"),
    ],
)
def test_recipe_faults_are_named(aligned: dict[str, Any], change: dict[str, Any], message: str) -> None:
    aligned["stages"][0].update(change)
    with pytest.raises(RecipeError, match=message):
        recipes.parse(aligned)


def test_presets_fill_what_is_not_given() -> None:
    from osler.alignment.settings import AlignmentSettings

    released = AlignmentSettings(preset="released", gather=True)
    assert (released.barycenter, released.centre, released.gradient, released.gather) == (
        "inclusive",
        False,
        "released",
        True,
    )
    assert AlignmentSettings() == AlignmentSettings(preset="improved")
    assert AlignmentSettings.model_validate(released.model_dump()) == released


def test_default_settings_are_written_out(aligned: dict[str, Any]) -> None:
    stage = recipes.parse(aligned).model_dump(mode="json")["stages"][0]
    assert stage["alignment"]["preset"] == "improved"
    assert stage["alignment"]["barycenter"] == "leave_one_out"


def test_released_reports_its_second_solve_one_pass_late(aligned: dict[str, Any]) -> None:
    aligned["stages"][0].update(alignment={"preset": "released"}, dev=None)
    result = train(recipes.parse(aligned), say=lambda _: None)
    history = [e for e in json.loads((result.folder / "two" / "history.json").read_text()) if "align_loss" in e]
    assert "align_perturbed_is_truth" not in history[0]
    assert all(0 <= entry["align_perturbed_is_truth"] <= 1 for entry in history[1:])
    assert all(entry["align_text_passes"] == 2 for entry in history)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objectives": {"graph_alignment": 1.0}}, "needs the autoregressive objective too"),
        ({"train": ["vision", "projector", "language"]}, "cannot train the vision encoder"),
    ],
)
def test_what_several_processes_cannot_train_is_refused(
    aligned: dict[str, Any], change: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    aligned["stages"][0].update(change)
    with pytest.raises(RecipeError, match=message):
        train(recipes.parse(aligned), say=lambda _: None)


def test_one_process_with_several_gpus_is_refused(aligned: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(RecipeError, match="accelerate launch --num_processes 4"):
        train(recipes.parse(aligned), say=lambda _: None)


def test_parts_beside_a_whole_model_are_refused(aligned: dict[str, Any]) -> None:
    aligned["model"]["projector"] = "dci"
    with pytest.raises(RecipeError, match="`start` is a whole model; projector would change nothing"):
        recipes.parse(aligned)
