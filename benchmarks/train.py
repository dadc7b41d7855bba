"""make bench-train: our training loop against a plain `Trainer`, same model, same records, same labels.

    python -m benchmarks.train [--steps 16] [--batch-size 8] [--data runs/demo/data]

Each side runs in a process of its own, one after the other, so that peak memory is its own. Both train projector and
language model in float32 with AdamW for the same number of steps and records; the plain side is what a careful user
writes: the model's own loss on full logits, random order, every picture encoded every time. The first two steps are
not timed. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

SIDES = ("osler", "plain_trainer")
WARM_UP = 2


def main() -> None:
    """Measure both sides and print the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--data", type=Path, help="folder of `osler data get sample`; built if not given")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(measure(args.side, args.data, steps=args.steps, batch_size=args.batch_size)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        if args.data is None:
            from osler.sources import sample

            args.data = Path(scratch) / "sample"
            sample.build(args.data, size="demo", seed=0)
        found = {side: run(side, args) for side in SIDES}
    from benchmarks.machine import describe

    ours, peer = found["osler"], found["plain_trainer"]
    print(
        json.dumps(
            {
                "benchmark": "train",
                "osler": ours,
                "plain_trainer": peer,
                "speed_ratio": round(ours["samples_per_second"] / peer["samples_per_second"], 3),
                "memory_ratio": round(ours["peak_memory_mb"] / peer["peak_memory_mb"], 3),
                "steps": args.steps,
                "batch_size": args.batch_size,
                "machine": describe(),
            }
        )
    )


def run(side: str, args: argparse.Namespace) -> dict[str, float]:
    """Measure one side in its own process."""
    command = [sys.executable, "-m", "benchmarks.train", "--side", side, "--data", str(args.data)]
    command += ["--steps", str(args.steps), "--batch-size", str(args.batch_size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(side: str, data: Path, *, steps: int, batch_size: int) -> dict[str, float]:
    """Train one side and time the steps after the warm-up."""
    import resource

    import transformers
    from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

    from osler.models import build_default
    from osler.models.vision_cache import cached_vision
    from osler.training.collate import Collator, RecordDataset
    from osler.training.components import set_trainable
    from osler.training.data import load_item
    from osler.training.recipe import DataItem
    from osler.training.trainer import OslerTrainer

    transformers.utils.logging.set_verbosity_error()
    set_seed(0)
    loaded = build_default()
    set_trainable(loaded.model, ("projector", "language"))
    records = load_item(DataItem(records=str(data / "train.jsonl")), seed=0)
    stamps: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            stamps.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as scratch:
        options = {
            "model": loaded.model,
            "args": TrainingArguments(
                output_dir=scratch,
                per_device_train_batch_size=batch_size,
                max_steps=steps,
                learning_rate=1e-5,
                report_to=[],
                save_strategy="no",
                logging_steps=1000,
                disable_tqdm=True,
                remove_unused_columns=False,
                use_cpu=True,
            ),
            "train_dataset": RecordDataset(records.records, records.folders),
            "data_collator": Collator(loaded.processor, max_length=512),
            "callbacks": [Clock()],
        }
        if side == "osler":
            trainer: Trainer = OslerTrainer(objective_weights={"autoregressive": 1.0}, sampler="length", **options)
            context = cached_vision(loaded.model)
        else:
            trainer, context = Trainer(**options), nullcontext()
        with context:
            trainer.train()
    timed = len(stamps) - WARM_UP
    return {
        "samples_per_second": round(timed * batch_size / (stamps[-1] - stamps[WARM_UP - 1]), 3),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10,
    }


if __name__ == "__main__":
    main()
