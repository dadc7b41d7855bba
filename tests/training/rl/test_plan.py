import pytest

from osler.errors import RecipeError
from osler.training.plan import plan
from osler.training.recipe import parse
from tests.boxed import content


def test_a_dry_run_counts_completions_and_the_reference(tmp_path, taught):
    def of(**changes):
        (stage,) = plan(parse(content(tmp_path, taught, **changes)))
        return stage

    four, eight = of(), of(rollout={"completions": 8})
    assert eight.memory.activations == 2 * four.memory.activations
    assert of(rollout={"beta": 0.0}).memory.weights * 2 == four.memory.weights
    assert of(max_steps=None, epochs=1, rollout={"inner_epochs": 3}).steps == 12, (
        "8 prompts in batches of 2, three times"
    )


def test_a_dry_run_refuses_what_the_run_would(tmp_path, taught):
    with pytest.raises(RecipeError, match="fewer than a step's 20 prompts"):
        plan(parse(content(tmp_path, taught, batch_size=20)))
