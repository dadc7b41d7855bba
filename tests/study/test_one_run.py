from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from osler.record_files import read_records
from osler.study import schedule
from osler.study.grid import Run
from osler.study.one_run import Setting, execute, recipe_of, settings_hash
from osler.study.results import path_of, read_items, read_result


@pytest.mark.parametrize("variant", ["infonce", "siglip"])
def test_a_run_from_data_to_json(setting: Setting, variant: str) -> None:
    run = Run(0, 0.5, variant)
    path = execute(run, setting)
    content = read_result(path).content
    questions = list(read_records(setting.data / "test.jsonl"))
    assert len(content["right"]) == len(questions)
    assert read_items(setting.results).ids == sorted(record.id for record in questions)
    assert content["accuracy"] == content["right"].count("1") / len(questions)
    assert content["pretrain"]["steps"] == content["finetune_steps"] == 2
    assert ("align_loss" in content["pretrain"]["last_logged"]) == (variant != "none")
    assert content["retrieval"]["chance"] == pytest.approx(1 / 64, abs=1e-5)
    assert content["settings_sha256"] == settings_hash(run, setting)
    assert path.stat().st_size < 60_000
    assert not (setting.work / run.name).exists(), "a finished run leaves no models behind"


def test_variants_differ_in_their_objective_alone(setting: Setting) -> None:
    plain, aligned = (recipe_of(Run(0, 0.4, name), setting).model_dump() for name in ("none", "siglip"))
    assert aligned["stages"][0].pop("objectives") == {"autoregressive": 1.0, "siglip": 1.0}
    for recipe in (plain, aligned):
        recipe.pop("out")
        for key in ("objectives", "alignment"):
            recipe["stages"][0].pop(key, None)
    assert plain == aligned


def test_settings_that_decide_a_result_decide_its_hash(setting: Setting) -> None:
    base = settings_hash(Run(0, 0.4, "none"), setting)
    elsewhere = dataclasses.replace(setting, work=setting.work / "other", results=Path("elsewhere"))
    longer = dataclasses.replace(setting, overrides=(*setting.overrides, "stages.pretrain.max_steps=3"))
    assert settings_hash(Run(0, 0.4, "none"), elsewhere) == base, "where a run lies does not matter"
    assert settings_hash(Run(0, 0.4, "none"), longer) != base
    others = [Run(1, 0.4, "none"), Run(0, 0.7, "none"), Run(0, 0.4, "infonce"), Run(0, 0.4, "none", "compute")]
    assert len({base, *(settings_hash(run, setting) for run in others)}) == 5


def test_a_run_that_fails_is_told_and_the_others_go_on(setting: Setting) -> None:
    broken = json.dumps({"autoregressive": 1.0, "infonce": 1.0})
    hopeless = dataclasses.replace(
        setting, overrides=(*setting.overrides, f"stages.pretrain.objectives={broken}", "stages.pretrain.max_length=8")
    )
    said: list[str] = []
    assert schedule.run_all([Run(0, 0.1, "none")], hopeless, jobs=1, say=said.append) == 1
    assert "none-0.1-s0-steps: failed:" in said[-1]
    assert not path_of(setting.results, Run(0, 0.1, "none")).exists()
