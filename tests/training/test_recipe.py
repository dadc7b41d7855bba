from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from osler.errors import RecipeError
from osler.training import recipe as recipes


@pytest.mark.parametrize("name", recipes.built_in())
def test_every_built_in_recipe_is_valid_and_described(name: str) -> None:
    loaded = recipes.load(name)
    assert loaded.name == name
    assert loaded.description


def test_published_hyper_parameters() -> None:
    stage1 = recipes.load("llava_med/stage1").stages[0]
    assert (stage1.learning_rate, stage1.epochs, stage1.batch_size * stage1.accumulate * 8) == (2e-3, 1, 128)
    assert stage1.train == ("projector",)
    stage2 = recipes.load("llava_med/stage2").stages[0]
    assert (stage2.learning_rate, stage2.epochs, stage2.batch_size * stage2.accumulate * 8) == (2e-5, 3, 64)
    assert set(stage2.train) == {"projector", "language"}
    for stage in (stage1, stage2):
        assert (stage.schedule, stage.warmup, stage.weight_decay, stage.max_length) == ("cosine", 0.03, 0, 2048)


@pytest.mark.parametrize(
    ("path", "key", "nearest"),
    [
        ((), "stags", "stages"),
        (("stages", 0), "learning_rat", "learning_rate"),
        (("model",), "projecter", "projector"),
        (("stages", 0, "data", 0), "image", "images"),
    ],
)
def test_a_typo_names_key_and_nearest_valid_name(
    recipe_content: dict[str, Any], tmp_path: Path, path: tuple[Any, ...], key: str, nearest: str
) -> None:
    node: Any = recipe_content
    for part in path:
        node = node[part]
    node[key] = 1
    file = tmp_path / "typo.yaml"
    file.write_text(yaml.safe_dump(recipe_content))
    with pytest.raises(RecipeError, match=rf"typo\.yaml: .*{key}: unknown key; did you mean '{nearest}'"):
        recipes.load(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": -1}, "learning_rate"),
        ({"objectives": {"autoregresive": 1}}, "did you mean 'autoregressive'"),
        ({"train": []}, "nothing is trainable"),
        ({"train": ["language"], "lora": {}}, "cannot be trained in full and by LoRA"),
        ({"train": ["backbone"]}, "stages.0.train.0"),
    ],
)
def test_impossible_values_are_refused(recipe_content: dict[str, Any], change: dict[str, Any], message: str) -> None:
    recipe_content["stages"][0].update(change)
    with pytest.raises(RecipeError, match=message):
        recipes.parse(recipe_content)


def test_overrides_reach_stages_by_name_and_number(recipe_content: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(yaml.safe_dump(recipe_content))
    changes = ["stages.two.learning_rate=1e-4", "stages.0.epochs=5", "seed=7"]
    loaded = recipes.load(file, changes)
    assert loaded.stages[1].learning_rate == 1e-4
    assert loaded.stages[0].epochs == 5
    assert loaded.seed == 7
    with pytest.raises(RecipeError, match="there is no 'three'"):
        recipes.load(file, ["stages.three.epochs=1"])
    with pytest.raises(RecipeError, match="key=value"):
        recipes.load(file, ["seed"])


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'llava_med/stage1'"):
        recipes.load("llava_med/stag1")


def test_broken_yaml_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("name: [")
    with pytest.raises(RecipeError, match=r"broken\.yaml: not readable as YAML"):
        recipes.load(file)
