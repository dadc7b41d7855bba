from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from osler.errors import OslerError, RecipeError
from osler.models import load_model
from osler.training import recipe as recipes
from osler.training.components import component_of
from osler.training.run import train
from tests import tiny


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in load_model(folder).model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {component_of(name) for name in before if not torch.equal(before[name], after[name])}


def test_each_stage_changes_what_it_names_and_nothing_else(recipe_content: dict[str, Any], tiny_folder: Path) -> None:
    result = train(recipes.parse(recipe_content), say=lambda _: None)
    start, one, two = (
        weights(f) for f in (tiny_folder, result.folder / "one" / "model", result.folder / "two" / "model")
    )
    assert changed(start, one) == {"projector"}
    assert changed(one, two) == {"projector", "language"}
    # frozen tower, batch-norm statistics included
    vision = [name for name in start if component_of(name) == "vision"]
    assert any("running_mean" in name for name in vision)
    assert all(torch.equal(start[name], two[name]) for name in vision)
    final = weights(result.model)
    assert all(torch.equal(final[name], two[name]) for name in two)
    assert (result.folder / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_of_the_lowest_development_loss_is_kept(recipe_content: dict[str, Any]) -> None:
    # a learning rate that blows up after the first epochs: the last weights are not the best ones
    recipe_content["stages"] = [recipe_content["stages"][1]]
    recipe_content["stages"][0].update(epochs=4, learning_rate=3.0, schedule="constant", evaluations=2)
    result = train(recipes.parse(recipe_content), say=lambda _: None)
    history = json.loads((result.folder / "two" / "history.json").read_text())
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    assert len(losses) >= 4
    assert result.stages["two"]["dev_loss"] == min(losses)
    assert losses[-1] > min(losses)
    assert dev_loss(result.model, recipe_content) == pytest.approx(min(losses), rel=1e-4)


def test_the_last_step_is_a_candidate_even_between_two_evaluations(recipe_content: dict[str, Any]) -> None:
    recipe_content["stages"] = [recipe_content["stages"][1]]
    recipe_content["stages"][0].update(epochs=1.5)  # 9 steps, evaluated every 6
    result = train(recipes.parse(recipe_content), say=lambda _: None)
    history = json.loads((result.folder / "two" / "history.json").read_text())
    losses = {entry["step"]: entry["eval_loss"] for entry in history if "eval_loss" in entry}
    assert list(losses) == [6, 9]
    assert dev_loss(result.model, recipe_content) == pytest.approx(min(losses.values()), rel=1e-4)


def dev_loss(folder: Path, content: dict[str, Any]) -> float:
    """Loss on the development records, computed without the trainer."""
    from osler.training.collate import Collator, RecordDataset
    from osler.training.data import load_item
    from osler.training.objectives import IGNORE, Step, autoregressive

    loaded = load_model(folder)
    item = load_item(recipes.DataItem(**content["stages"][0]["dev"]), seed=0)
    data = RecordDataset(item.records, item.folders)
    collate = Collator(loaded.processor, max_length=512)
    total = count = 0.0
    with torch.no_grad():
        for index in range(len(data)):
            batch = collate([data[index]])
            total += float(autoregressive(Step(loaded.model, batch, tokens=1)).loss)
            count += int((batch["labels"] != IGNORE).sum())
    return total / count


def test_lora_trains_adapters_and_leaves_a_plain_folder(recipe_content: dict[str, Any], tiny_folder: Path) -> None:
    stage = recipe_content["stages"][1]
    stage.update(train=["projector"], lora={"r": 4, "alpha": 8, "targets": ["q_proj", "v_proj"]}, learning_rate=1e-2)
    recipe_content["stages"] = [stage]
    result = train(recipes.parse(recipe_content), say=lambda _: None)
    before, after = weights(tiny_folder), weights(result.model)
    names = {name for name in before if not torch.equal(before[name], after[name])}
    assert {component_of(name) for name in names} == {"projector", "language"}
    assert {name.split(".")[-2] for name in names if component_of(name) == "language"} == {"q_proj", "v_proj"}
    assert not (result.model / "adapter_config.json").exists()


def test_training_learns_the_colours(recipe_content: dict[str, Any]) -> None:
    from osler.evaluation.runners import LocalRunner, Request
    from osler.images import load_image

    stage = recipe_content["stages"][1]
    stage.update(epochs=40, learning_rate=1e-2, batch_size=8, train=["projector", "language", "vision"])
    recipe_content["stages"] = [stage]
    result = train(recipes.parse(recipe_content), say=lambda _: None)
    data = Path(stage["dev"]["records"])
    from osler.record_files import read_records

    records = list(read_records(data))
    requests = [
        Request(turns=r.turns[:1], images=tuple(load_image(data.parent / i.path).image for i in r.images))
        for r in records
    ]
    answers = [answer.text for answer in LocalRunner(result.model, max_new_tokens=8).answer(requests)]
    assert answers == [record.answer for record in records]


def test_the_same_call_again_does_nothing_and_another_recipe_is_refused(recipe_content: dict[str, Any]) -> None:
    recipe_content["stages"] = recipe_content["stages"][:1]
    result = train(recipes.parse(recipe_content), say=lambda _: None)
    stamp = (result.model / "model.safetensors").stat().st_mtime_ns
    said: list[str] = []
    train(recipes.parse(recipe_content), say=said.append)
    assert said == ["stage one: already done"]
    assert (result.model / "model.safetensors").stat().st_mtime_ns == stamp
    recipe_content["seed"] = 1
    with pytest.raises(RecipeError, match="another recipe or other settings"):
        train(recipes.parse(recipe_content), say=lambda _: None)


def test_faults_show_before_a_model_is_loaded(recipe_content: dict[str, Any], tmp_path: Path) -> None:
    recipe_content["model"] = {"start": str(tmp_path / "nowhere")}
    with pytest.raises(OslerError, match="nowhere: no such model folder"):
        train(recipes.parse(recipe_content), say=lambda _: None)
    path = tiny.colour_records(tmp_path / "gap", 4)
    (tmp_path / "gap" / "images" / "2.png").unlink()
    recipe_content["stages"][0]["data"] = [{"records": str(path)}]
    with pytest.raises(RecipeError, match=r"stage one: 1 images are missing, for instance record 'colour-2'.*2\.png"):
        train(recipes.parse(recipe_content), say=lambda _: None)


def test_development_images_must_not_be_training_images(recipe_content: dict[str, Any], colour_data: Path) -> None:
    recipe_content["stages"][1]["dev"] = {"records": str(colour_data / "train.jsonl")}
    with pytest.raises(RecipeError, match="stage two: 24 images are both in training and development"):
        train(recipes.parse(recipe_content), say=lambda _: None)


def test_accumulation_gives_the_same_training_as_one_big_batch(recipe_content: dict[str, Any], tmp_path: Path) -> None:
    recipe_content["stages"] = recipe_content["stages"][:1]
    found = []
    for number, (batch, accumulate) in enumerate([(8, 1), (2, 4)]):
        recipe_content["stages"][0].update(batch_size=batch, accumulate=accumulate)
        recipe_content["out"] = str(tmp_path / f"run{number}")
        found.append(weights(train(recipes.parse(recipe_content), say=lambda _: None).model))
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-4, atol=1e-5)


def test_gradient_checkpointing_changes_nothing(recipe_content: dict[str, Any], tmp_path: Path) -> None:
    recipe_content["stages"] = recipe_content["stages"][1:]
    found = []
    for value in (False, True):
        recipe_content["stages"][0]["gradient_checkpointing"] = value
        recipe_content["out"] = str(tmp_path / str(value))
        found.append(train(recipes.parse(recipe_content), say=lambda _: None).model)
    a, b = (load_file(folder / "model.safetensors") for folder in found)
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", ["qwen", "gemma", "smolvlm"])
def test_other_families_train_by_the_same_recipe(recipe_content: dict[str, Any], tmp_path: Path, family: str) -> None:
    from osler.models import LoadedModel
    from tests.evaluation import tiny_models

    built = LoadedModel(*getattr(tiny_models, family)())
    built.save(tmp_path / "start")
    before = {name: value.clone() for name, value in built.model.state_dict().items()}
    recipe_content["model"] = {"start": str(tmp_path / "start")}
    recipe_content["stages"] = recipe_content["stages"][:1]
    recipe_content["stages"][0]["train"] = ["projector"]
    result = train(recipes.parse(recipe_content), say=lambda _: None)
    assert changed(before, weights(result.model)) == {"projector"}


def test_bf16_trains_on_the_cpu(recipe_content: dict[str, Any]) -> None:
    recipe_content["stages"] = recipe_content["stages"][1:]
    recipe_content["stages"][0]["precision"] = "bf16"
    result = train(recipes.parse(recipe_content), say=lambda _: None)
    history = json.loads((result.folder / "two" / "history.json").read_text())
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    assert losses[-1] < 6
    assert load_model(result.model).model.dtype == torch.float32


def test_two_processes_train_and_write_one_model(recipe_content: dict[str, Any], tmp_path: Path) -> None:
    """torchrun with gloo: the loss is divided by the tokens of both processes, so the weights are those of one."""
    recipe_content["stages"] = recipe_content["stages"][:1]
    recipe_content["stages"][0].update(batch_size=4, learning_rate=1e-3)
    alone = train(recipes.parse({**recipe_content, "out": str(tmp_path / "alone")}), say=lambda _: None)
    recipe_content["stages"][0]["batch_size"] = 2
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps({**recipe_content, "out": str(tmp_path / "both")}))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29611"]
    done = subprocess.run(
        [*command, "-m", "osler", "train", str(file)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    a, b = weights(alone.model), weights(tmp_path / "both" / "model")
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=1e-4)
