"""python -m benchmarks.alignment   (or: make bench-alignment)

Step time and peak memory with LoGra-Med's objective over without it, on the same batches: the embedded default model,
projector and language model trained, AdamW, at 49 and at 576 image tokens. Each side runs in its own process, so that
peak memory is its own. Prints one JSON line a setting. `token_ratio` is what a step with the objective computes over
what the plain step has (main pass and text passes; padding of the main pass counted as computed, since it is).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIDES = ("plain", "graph_alignment", "infonce")
SETTINGS = {49: {"size": 224, "batch": 16, "steps": 4}, 576: {"size": 768, "batch": 8, "steps": 2}}


def main() -> None:
    """Run every side in its own process, one after the other, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, choices=SETTINGS, action="append", help="image tokens; both by default")
    parser.add_argument("--preset", default="improved", choices=["improved", "released"])
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(measure(args.side, args.data, args.tokens[0], args.preset)))
        return
    from benchmarks.machine import describe
    from osler.sources import phantom

    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch)
        phantom.build(data, size="tiny", seed=0)
        for tokens in args.tokens or SETTINGS:
            found = {side: run(side, data, tokens, args.preset) for side in SIDES}
            print(json.dumps(report(tokens, args.preset, found) | {"machine": describe()}), flush=True)


def report(tokens: int, preset: str, found: dict[str, dict[str, float]]) -> dict[str, Any]:
    """One line of the result."""
    plain, aligned = found["plain"], found["graph_alignment"]
    token_ratio = (aligned["main_tokens"] + aligned["text_tokens"]) / aligned["main_tokens"]
    time_ratio = aligned["step_seconds"] / plain["step_seconds"]
    return {
        "benchmark": "alignment",
        "image_tokens": tokens,
        "preset": preset,
        "batch_size": SETTINGS[tokens]["batch"],
        "time_ratio": round(time_ratio, 3),
        "token_ratio": round(token_ratio, 3),
        "time_over_tokens": round(time_ratio / token_ratio, 3),
        "memory_ratio": round(aligned["peak_memory_mb"] / plain["peak_memory_mb"], 3),
        "solver_share": round(aligned["solver_seconds"] / aligned["step_seconds"], 4),
        "infonce_time_ratio": round(found["infonce"]["step_seconds"] / plain["step_seconds"], 3),
        **found,
    }


def run(side: str, data: Path, tokens: int, preset: str) -> dict[str, float]:
    """Measure one side in its own process."""
    command = [sys.executable, "-m", "benchmarks.alignment", "--side", side, "--data", str(data)]
    command += ["--tokens", str(tokens), "--preset", preset]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(side: str, data: Path, tokens: int, preset: str) -> dict[str, float]:
    """Time full optimiser steps of one side; the first, which warms up, is left out."""
    import resource

    import torch
    import transformers

    from osler.alignment.settings import AlignmentSettings
    from osler.models import build
    from osler.models.default import default_language, default_vision
    from osler.models.vision_cache import cached_vision
    from osler.training import objectives
    from osler.training.alignment.objective import attach_head
    from osler.training.collate import Collator, RecordDataset
    from osler.training.components import set_trainable
    from osler.training.data import load_item
    from osler.training.recipe import DataItem

    transformers.utils.logging.set_verbosity_error()
    torch.manual_seed(0)
    options = SETTINGS[tokens]
    loaded = build(default_vision(), default_language(), image_size=options["size"])
    model = loaded.model.train()
    set_trainable(model, ("projector", "language"))
    settings = AlignmentSettings(preset=preset)  # type: ignore[arg-type]
    terms = [objectives.get("autoregressive")]
    if side != "plain":
        attach_head(model, side, settings, seed=0)  # type: ignore[arg-type]
        terms.append(objectives.get(side, settings))
    records = load_item(DataItem(records=str(data / "instruct.jsonl")), seed=0)
    dataset = RecordDataset(records.records, records.folders)
    collate = Collator(loaded.processor, max_length=2048, alignment=settings)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    seconds, solver, main_tokens, text_tokens = [], [], 0, 0
    with cached_vision(model):
        for number in range(options["steps"] + 1):
            rows = [(number * options["batch"] + row) % len(dataset) for row in range(options["batch"])]
            batch = collate([dataset[row] for row in rows])
            began = time.perf_counter()
            step = objectives.Step(model, batch, tokens=None, keep_states=side != "plain")
            values = [term(step) for term in terms]
            sum(value.loss for value in values).backward()
            optimiser.step()
            optimiser.zero_grad()
            if number:
                seconds.append(time.perf_counter() - began)
                solver.append(values[-1].metrics.get("align_solver_seconds", 0.0))
                main_tokens += batch["input_ids"].numel()
                text_tokens += sum(int(texts["lengths"].sum()) for texts in batch["alignment_texts"].values())
    return {
        "step_seconds": round(statistics.median(seconds), 3),
        "solver_seconds": round(statistics.median(solver), 5),
        "main_tokens": main_tokens,
        "text_tokens": text_tokens,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10,
    }


if __name__ == "__main__":
    main()
