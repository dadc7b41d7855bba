"""python -m benchmarks.rewards   (or: make bench-rewards)

What rewards cost. Two kinds of JSON lines, on the embedded default model (SmolLM2-135M with the grid encoder):

- `rewards_memory`: peak memory of the vision relevance reward on 576 image tokens and 512 text tokens over a plain
  forward pass of the same sequence (without output layer); as the peer, a pass that returns all attention maps. Each
  side runs in its own process. `over_model` counts only what comes on top of the loaded model.
- `rewards_time`: milliseconds a completion for each reward, and their share of a step of the clipped objective
  (draw, score, learn) with groups of 8 at 49 image tokens.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

SIDES = ("plain", "relevance", "all_maps")
IMAGE_SIDE, TEXT_TOKENS = 768, 512  # 24 x 24 = 576 image tokens
ANSWER = "There is an abnormality. It lies at <box>(100,100),(400,300)</box>. This is consistent with cyst. "
GROUP, STEPS = 8, 3


def main() -> None:
    """Run every side in its own process, one after the other, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=[*SIDES, "time"], help=argparse.SUPPRESS)
    side = parser.parse_args().side
    if side:
        print(json.dumps(measure_time() if side == "time" else measure_memory(side)))
        return
    from benchmarks.machine import describe

    found = {name: run(name) for name in SIDES}
    plain = found["plain"]
    ratios = {
        name: {
            "peak": round(found[name]["peak_mb"] / plain["peak_mb"], 3),
            "over_model": round(
                (found[name]["peak_mb"] - found[name]["model_mb"]) / (plain["peak_mb"] - plain["model_mb"]), 3
            ),
            "seconds": round(found[name]["seconds"] / plain["seconds"], 3),
        }
        for name in SIDES[1:]
    }
    print(json.dumps({"benchmark": "rewards_memory", "ratios": ratios, **found, "machine": describe()}), flush=True)
    print(json.dumps({"benchmark": "rewards_time", **run("time"), "machine": describe()}), flush=True)


def run(side: str) -> dict[str, Any]:
    """Measure one side in its own process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rewards", "--side", side], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def peak_mb() -> float:
    """Peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def make(side: int) -> Any:
    """The default model at an image size, and a picture."""
    import transformers
    from PIL import Image

    from osler.models import build
    from osler.models.default import default_language, default_vision

    transformers.utils.logging.set_verbosity_error()
    loaded = build(default_vision(), default_language(), image_size=side)
    loaded.model.requires_grad_(False)
    return loaded, Image.effect_noise((side, side), 60).convert("RGB")


def measure_memory(side: str) -> dict[str, Any]:
    """Peak memory and time of one pass."""
    import torch

    from osler.models.prompt_inputs import joined_inputs
    from osler.training.rewards.relevance import VisionRelevance

    loaded, picture = make(IMAGE_SIDE)
    tokenizer = loaded.tokenizer
    prompt = [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": "Where?"}]}]
    empty, starts = joined_inputs(loaded.processor, [prompt], [[]])
    images = int((empty["input_ids"] == loaded.model.config.image_token_id).sum())
    ids = tokenizer(ANSWER * 40, add_special_tokens=False)["input_ids"][: TEXT_TOKENS - (starts[0] - images)]
    text = tokenizer.decode(ids)
    inputs, _ = joined_inputs(loaded.processor, [prompt], [ids])
    del empty
    model_mb = peak_mb()
    began = time.perf_counter()
    if side == "relevance":
        value = VisionRelevance(loaded.model, loaded.processor)(
            [prompt], [text], completion_ids=[ids], boxes=[[(77, 77, 307, 230)]], size=[picture.size],
            category=["cyst"], images=[[picture]],
        )[0]  # fmt: skip
        assert value is not None
        assert 0 < value < 1
    else:
        if side == "all_maps":
            loaded.model.set_attn_implementation("eager")
        with torch.no_grad():
            loaded.model.model(**inputs, use_cache=False, output_attentions=side == "all_maps")
    seconds = time.perf_counter() - began
    return {
        "image_tokens": images,
        "text_tokens": int(inputs["input_ids"].shape[1]) - images,
        "model_mb": round(model_mb),
        "peak_mb": round(peak_mb()),
        "seconds": round(seconds, 3),
    }


def measure_time() -> dict[str, Any]:
    """Seconds of each part of a step, medians over some steps; the first, which warms up, is left out."""
    import torch

    from osler.messages import with_image
    from osler.training.components import set_trainable
    from osler.training.rewards.format import Format
    from osler.training.rewards.localisation import Localisation
    from osler.training.rewards.relevance import VisionRelevance
    from osler.training.rl.rollouts import draw, judge
    from osler.training.rl.settings import RolloutSection

    torch.manual_seed(0)
    loaded, picture = make(224)
    set_trainable(loaded.model, ("projector", "language"))
    prompt = with_image([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Where?"}]}], picture)
    prompts, rollout = [prompt] * GROUP, RolloutSection(max_new_tokens=48, completions=GROUP)
    rewards = [Localisation(), Format(["cyst"]), VisionRelevance(loaded.model, loaded.processor)]
    optimiser = torch.optim.AdamW([p for p in loaded.model.parameters() if p.requires_grad], lr=1e-6)
    # an untrained model names no class: the rewards score the template's answer, which costs what a trained one's does
    ids = loaded.tokenizer(ANSWER, add_special_tokens=False)["input_ids"]
    columns: dict[str, Any] = {
        "completion_ids": [ids] * GROUP,
        "boxes": [[(22, 22, 90, 67)]] * GROUP,
        "size": [picture.size] * GROUP,
        "category": ["cyst"] * GROUP,
        "images": [[picture]] * GROUP,
    }
    parts: dict[str, list[float]] = {}
    for _ in range(STEPS + 1):
        began = time.perf_counter()
        drawn = draw(loaded.model, loaded.processor, prompts, rollout)
        parts.setdefault("draw", []).append(time.perf_counter() - began)
        for reward in rewards:
            began = time.perf_counter()
            reward(prompts, [ANSWER] * GROUP, **columns)
            parts.setdefault(reward.__name__, []).append(time.perf_counter() - began)
        began = time.perf_counter()
        with torch.no_grad():
            judge(loaded.model, drawn, temperature=1.0)  # the reference
        judge(loaded.model, drawn, temperature=1.0).logps.sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        parts.setdefault("learn", []).append(time.perf_counter() - began)
    medians = {name: statistics.median(values[1:]) for name, values in parts.items()}
    step = sum(medians.values())
    names = [reward.__name__ for reward in rewards]
    return {
        "completions": GROUP,
        "step_seconds": round(step, 3),
        "ms_per_completion": {name: round(1000 * medians[name] / GROUP, 3) for name in names},
        "share_of_step": {name: round(medians[name] / step, 5) for name in (*names, "draw", "learn")},
    }


if __name__ == "__main__":
    main()
