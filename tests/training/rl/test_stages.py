"""Stages with rewards, end to end on a tiny model: both methods, adapters, logs, resume."""

import json
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file

from osler.errors import RecipeError
from osler.training.recipe import parse
from osler.training.run import train
from tests.boxed import content

needs_trl = pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed")
METHODS = ["ppo", pytest.param("grpo", marks=needs_trl)]


def run(recipe):
    return train(parse(recipe), say=lambda _: None)


def weights(folder):
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lora", [None, {"r": 4, "alpha": 8, "dropout": 0.0}], ids=["full", "lora"])
def test_a_stage_runs_logs_and_leaves_a_plain_model(tmp_path, taught, method, lora):
    from osler.models import load_model

    changes = {"lora": lora, "train": ["projector"]} if lora else {}
    result = run(content(tmp_path, taught, method=method, **changes))
    history = json.loads((result.folder / "reward" / "history.json").read_text())
    logged = {key for entry in history for key in entry}
    for name in ("localisation", "relevance", "format"):
        assert {f"rewards/{name}/raw/mean", f"rewards/{name}/used/p90", f"rewards/{name}/missing"} <= logged
    assert {"reward", "kl"} <= logged
    assert {f"relevance/layer_{number}" for number in (0, 1)} <= logged
    before, after = weights(taught), weights(result.model)
    assert before.keys() == after.keys(), "no value head, no adapters"
    assert any(not torch.equal(before[name], after[name]) for name in before)
    frozen = [name for name in before if "vision_tower" in name]
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    load_model(result.model)
    lines = [json.loads(line) for line in (result.folder / "reward" / "samples" / "samples.jsonl").open()]
    assert {line["step"] for line in lines} == {1, 3}
    assert set(lines[0]["rewards"]) == {"localisation", "relevance", "format"}
    assert (result.folder / "reward" / "samples" / "step-000001.png").stat().st_size > 1000


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, taught, method, monkeypatch):
    """Also from checkpoints as frequent as steps, where completions are learned from twice, and in a later epoch."""
    steps = 10  # 4 batches of prompts an epoch, each twice
    changes = {"rollout": {"inner_epochs": 2}, "checkpoints": 8, "max_steps": steps}
    whole = run(content(tmp_path / "a", taught, method=method, **changes))
    recipe = content(tmp_path / "b", taught, method=method, **changes)
    from transformers import Trainer

    step = Trainer.training_step

    def dies(self, *args, **kwargs):
        if self.state.global_step == steps - 1:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", dies)
    with pytest.raises(KeyboardInterrupt):
        run(recipe)
    monkeypatch.undo()
    resumed = run(recipe)
    first, second = weights(whole.model), weights(resumed.model)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_rewarded_becomes_more_likely(tmp_path, taught, method, monkeypatch):
    """A reward for one token: after some steps the policy says it more often."""
    from osler.training.rl import stage as stages

    class SaysE:
        __name__ = "localisation"

        def __init__(self):
            self.seen = []

        def __call__(self, prompts, completions, *, completion_ids, **_):
            marks = [sum(token % 4 == 0 for token in ids) / len(ids) for ids in completion_ids]
            self.seen.append(sum(marks) / len(marks))
            return marks

    reward = SaysE()

    def rewards(stage, *_):
        from osler.training.rewards.combined import Combined

        return Combined([reward], {"localisation": 1.0}, group=stage.rollout.completions, normalise=())

    monkeypatch.setattr(stages, "make_rewards", rewards)
    recipe = content(
        tmp_path, taught, method=method, max_steps=30, learning_rate=3e-3, batch_size=4, checkpoints=0,
        rollout={"completions": 8, "beta": 0.0, "sample_every": 0, "inner_epochs": 2, "max_new_tokens": 6},
    )  # fmt: skip
    run(recipe)
    assert sum(reward.seen[-4:]) / 4 > sum(reward.seen[:2]) / 2 + 0.2, reward.seen


def test_dropout_does_not_tell_the_policy_from_itself(tmp_path, taught):
    """Learned from once, the policy is the one that sampled: no ratio leaves the bounds, and the surrogate is zero."""
    lora = {"r": 4, "alpha": 64, "dropout": 0.5}
    result = run(content(tmp_path, taught, lora=lora, train=["projector"], rollout={"beta": 0.0}))
    history = json.loads((result.folder / "reward" / "history.json").read_text())
    steps = [entry for entry in history if "loss" in entry]
    assert len(steps) == 4
    assert all(entry["ppo/clipped"] == 0 for entry in steps)
    assert all(abs(entry["ppo/policy"]) < 1e-3 for entry in steps)


@pytest.mark.parametrize("method", METHODS)
def test_a_stage_is_free_of_dropout(tmp_path, taught, method, monkeypatch):
    from transformers import Trainer

    seen = []
    step = Trainer.training_step

    def looks(self, model, *args, **kwargs):
        seen.extend(module.p for module in model.modules() if isinstance(module, torch.nn.Dropout))
        return step(self, model, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", looks)
    run(content(tmp_path, taught, method=method, lora={"dropout": 0.5}, train=["projector"], max_steps=1))
    assert seen
    assert not any(seen)


@pytest.mark.parametrize("method", METHODS)
def test_a_placeholder_is_never_drawn(tmp_path, taught, method, monkeypatch):
    """Even by a model whose folder does not forbid it: a picture that is not there would be asked for."""
    from transformers import GenerationConfig, GenerationMixin

    from osler.models import load_model
    from osler.models.language import image_token_id

    loaded = load_model(taught)
    loaded.model.generation_config.suppress_tokens = None
    loaded.save(tmp_path / "free")
    seen = []
    generate = GenerationMixin.generate

    def listens(self, *args, **kwargs):
        config: GenerationConfig = kwargs.get("generation_config") or self.generation_config
        seen.append(config.suppress_tokens)
        return generate(self, *args, **kwargs)

    monkeypatch.setattr(GenerationMixin, "generate", listens)
    run(content(tmp_path, tmp_path / "free", method=method, max_steps=1))
    assert seen == [[image_token_id(loaded.model)]]


def test_prompts_of_unlike_length_without_a_padding_token(taught):
    """As of a published checkpoint; what is drawn for a prompt does not depend on its company but for rounding."""
    from PIL import Image

    from osler.models import load_model
    from osler.training.rl.rollouts import draw, judge
    from osler.training.rl.settings import RolloutSection

    loaded = load_model(taught)
    loaded.tokenizer.pad_token = None
    parts = [{"type": "image", "image": Image.new("RGB", (40, 32))}]
    prompts = [
        [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]
        for text in ("what is this", "what is this, if you please, and where does it lie")
    ]
    drawn = draw(loaded.model, loaded.processor, prompts, RolloutSection(max_new_tokens=6, top_p=0.01))
    alone = [
        draw(loaded.model, loaded.processor, [one], RolloutSection(max_new_tokens=6, top_p=0.01)) for one in prompts
    ]
    assert drawn.ids == [one.ids[0] for one in alone]
    together = judge(loaded.model, drawn, temperature=1.0).logps
    for row, one in zip(together, alone, strict=True):
        found = judge(loaded.model, one, temperature=1.0).logps[0]
        torch.testing.assert_close(row[: len(found)], found, rtol=1e-4, atol=1e-5)


def test_what_no_reward_scores_teaches_nothing(tmp_path, taught, monkeypatch):
    from osler.training.rewards.combined import Combined
    from osler.training.rl import stage as stages

    class Silent:
        __name__ = "localisation"

        def __call__(self, prompts, completions, **_):
            return [None] * len(completions)

    monkeypatch.setattr(
        stages,
        "make_rewards",
        lambda stage, *_: Combined([Silent()], {"localisation": 1.0}, group=stage.rollout.completions),
    )
    result = run(content(tmp_path, taught, rollout={"sample_every": 0}))
    before, after = weights(taught), weights(result.model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_divergence_is_zero_at_the_start_in_half_precision(tmp_path, taught):
    result = run(content(tmp_path, taught, max_steps=1, precision="bf16", cache_vision=False))
    history = json.loads((result.folder / "reward" / "history.json").read_text())
    assert history[0]["kl"] == 0


def test_divergence_is_zero_at_the_start_and_grows(tmp_path, taught):
    result = run(content(tmp_path, taught, max_steps=4, learning_rate=3e-3))
    history = [entry for entry in json.loads((result.folder / "reward" / "history.json").read_text()) if "kl" in entry]
    assert history[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert abs(history[-1]["kl"]) > 1e-6


def test_the_same_seed_gives_the_same_model(tmp_path, taught):
    first, second = (weights(run(content(tmp_path / name, taught)).model) for name in "ab")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": {"localisation": 0, "relevance": 0}}, "every reward has weight 0"),
        ({"rewards": {"judge": 1.0}}, "judge_endpoint"),
        ({"objectives": {"autoregressive": 1.0}}, "no objectives"),
        ({"rewards": None}, "`rollout` is for a stage with `rewards`"),
        ({"rollout": {"completions": 1}}, "completions"),
        ({"rewards": {"lokalisation": 1.0}}, "did you mean 'localisation'"),
    ],
)
def test_recipes_that_make_no_sense(tmp_path, changes, message):
    with pytest.raises(RecipeError, match=message):
        parse(content(tmp_path, tmp_path, **changes))


def test_records_that_rewards_cannot_score(tmp_path, taught):
    from tests import tiny

    tiny.colour_records(tmp_path / "plain", 4)
    recipe = content(tmp_path, taught, data=[{"records": str(tmp_path / "plain" / "train.jsonl")}])
    with pytest.raises(RecipeError, match="no record has a region"):
        run(recipe)
    with pytest.raises(RecipeError, match="fewer than a step's 20 prompts"):
        run(content(tmp_path, taught, batch_size=20))
    with pytest.raises(RecipeError, match="does not accumulate"):
        run(content(tmp_path, taught, accumulate=2))


def test_grpo_without_trl_says_what_to_install(tmp_path, taught, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "trl" else find(name, *rest))
    with pytest.raises(RecipeError, match=r"osler\[rl\]"):
        run(content(tmp_path, taught, method="grpo"))
