from __future__ import annotations

import pytest

from osler.study.grid import VARIANTS, Run, StudyError, all_runs, choose
from osler.training.recipe import Stage


def test_an_unfinished_study_holds_whole_seeds() -> None:
    assert [run.seed for run in all_runs()] == sorted(run.seed for run in all_runs())


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_every_variant_is_a_valid_stage(variant: object) -> None:
    stage = Stage.model_validate(
        {
            "name": "pretrain",
            "data": [{"records": "x.jsonl"}],
            "objectives": variant.objectives,  # type: ignore[attr-defined]
            "alignment": variant.alignment or None,  # type: ignore[attr-defined]
        }
    )
    assert ("released" in variant.name) == bool(  # type: ignore[attr-defined]
        stage.alignment_settings and stage.alignment_settings.preset == "released"
    )


def test_names() -> None:
    assert Run(1, 0.4, "infonce").name == "infonce-0.4-s1-steps"
    assert Run(0, 1.0, "none", "compute").name == "none-1-s0-compute"


@pytest.mark.parametrize(
    ("only", "count"),
    [
        ("", 72),
        ("variant=none", 24),
        ("variant=none,variant=siglip,fraction=0.1,seed=2", 3),
        ("fraction=1,seed=0,budget=compute", 1),
        ("fraction=1.0", 18),
    ],
)
def test_a_choice(only: str, count: int) -> None:
    assert len(choose(all_runs(), only)) == count


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("variant=infonse", "did you mean 'infonce'"),
        ("fraction=0.5", "no fraction '0.5'"),
        ("seed", "not of the form key=value"),
        ("colour=red", "budget, fraction, seed, variant"),
    ],
)
def test_a_choice_that_the_grid_does_not_have_is_refused(only: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        choose(all_runs(), only)
