"""make bench-eval: our local runner against the plain one-by-one loop of LLaVA-Med's evaluation script.

    python -m benchmarks.evaluation [--model FOLDER] [--records FILE --images FOLDER] [--max-new-tokens 16 ...]

Both sides answer the same questions, several to a picture, with the same model in float32: greedy, the same length
limits, the same end tokens and the stop string "###". The plain side is `model_vqa` of LLaVA-Med in form: for each
question it opens the picture, processes it, and calls `generate` with a cache and a stopping criterion, one question at
a time. Without arguments the model is the embedded default (its projector untrained) and the pictures are phantoms.

Each side runs in a process of its own, one after the other; the sides take turns, and of each the fastest round counts.
Reading pictures is timed, loading the model is not. `cpu_ratio` compares processor time, which says more than the wall
on a machine with other work. Answers are compared by token. For each that differs, a forward
pass over the common tokens gives the logits at the first differing one: a difference is explained when the two sides'
tokens are the two likeliest and their logits lie within `--tie` of each other. Prints one JSON line for each limit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIDES = ("plain_loop", "osler")
STOP = "###"


def main() -> None:
    """Measure both sides and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="model folder; the embedded default if not given")
    parser.add_argument("--records", type=Path, help="record file of questions; phantoms are drawn if not given")
    parser.add_argument("--images", type=Path, help="folder that its image paths are relative to; its own by default")
    parser.add_argument("--items", type=int, default=0, help="only the first so many questions")
    parser.add_argument("--max-new-tokens", type=int, nargs="+", default=[16, 4])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tie", type=float, default=1e-3, help="logit margin that rounding may turn")
    parser.add_argument("--side", choices=[*SIDES, "margins"], help=argparse.SUPPRESS)
    parser.add_argument("--differing", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(margins(args) if args.side == "margins" else measure(args)))
        return
    from benchmarks.machine import describe

    with tempfile.TemporaryDirectory() as scratch:
        if args.records is None:
            args.records = phantoms(Path(scratch))
        for limit in args.max_new_tokens:
            print(json.dumps({**compare(args, limit, Path(scratch)), "machine": describe()}), flush=True)


def compare(args: argparse.Namespace, limit: int, scratch: Path) -> dict[str, Any]:
    """One limit: both sides in turn, then whatever differs."""
    rounds = [{side: run(side, args, limit) for side in SIDES} for _ in range(args.rounds)]
    best = {side: min((turn[side] for turn in rounds), key=lambda found: found["seconds"]) for side in SIDES}
    cpu = {side: min(turn[side]["cpu_seconds"] for turn in rounds) for side in SIDES}
    plain, ours = (best[side].pop("tokens") for side in SIDES)
    differing = [
        {"item": item, "plain": first, "osler": second}
        for item, (first, second) in enumerate(zip(plain, ours, strict=True))
        if first != second
    ]
    explained = []
    if differing:
        (scratch / "differing.json").write_text(json.dumps(differing))
        explained = run("margins", args, limit, differing=scratch / "differing.json")["margins"]
    items = len(plain)
    return {
        "benchmark": "evaluation",
        "model": args.model or "embedded default, untrained projector",
        "items": items,
        "pictures": best["osler"].pop("pictures"),
        "max_new_tokens": limit,
        "batch_size": args.batch_size,
        "threads": best["osler"]["threads"],
        "load_average": round(os.getloadavg()[0], 1),
        "speed_ratio": round(best["plain_loop"]["seconds"] / best["osler"]["seconds"], 2),
        "speed_ratio_of_rounds": [round(t["plain_loop"]["seconds"] / t["osler"]["seconds"], 2) for t in rounds],
        "cpu_ratio": round(cpu["plain_loop"] / cpu["osler"], 2),
        **{
            side: {
                "items_per_second": round(items / best[side]["seconds"], 3),
                "seconds": round(best[side]["seconds"], 2),
                "cpu_seconds": round(cpu[side], 2),
                "peak_memory_mb": best[side]["peak_memory_mb"],
            }
            for side in SIDES
        },
        "identical_answers": round(1 - len(differing) / items, 4),
        "different_answers": len({tuple(tokens) for tokens in ours}),
        "mean_answer_tokens": round(sum(map(len, ours)) / items, 1),
        "differences": explained,
        "differences_explained": all(entry["margin"] <= args.tie and entry["two_likeliest"] for entry in explained),
    }


def run(side: str, args: argparse.Namespace, limit: int, *, differing: Path | None = None) -> dict[str, Any]:
    """Measure one side in its own process."""
    command = [sys.executable, "-m", "benchmarks.evaluation", "--side", side, "--records", str(args.records)]
    command += ["--model", args.model, "--max-new-tokens", str(limit), "--batch-size", str(args.batch_size)]
    command += ["--items", str(args.items)]
    command += ["--images", str(args.images)] if args.images else []
    command += ["--differing", str(differing)] if differing else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def phantoms(folder: Path) -> Path:
    """All single questions of a tiny phantom set, four to six on each of 18 pictures."""
    from osler.sources import phantom

    phantom.build(folder / "phantoms", size="tiny", pixels=128)
    lines = [(folder / "phantoms" / f"{split}.jsonl").read_text() for split in ("train", "dev", "test")]
    (folder / "phantoms" / "all.jsonl").write_text("".join(lines))
    return folder / "phantoms" / "all.jsonl"


def loaded(args: argparse.Namespace) -> tuple[Any, Any]:
    """Model and processor."""
    import transformers

    from osler.models import build_default, load_model

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    found = load_model(args.model, dtype="float32") if args.model else build_default()
    return found.model, found.processor


def questions(args: argparse.Namespace) -> tuple[list[Any], Path]:
    """Records and their image folder."""
    from osler.record_files import read_records

    records = list(read_records(args.records))
    return records[: args.items or None], args.images or args.records.parent


class Clock:
    """Time of a `with` block: on the wall, and of this process's threads on a processor."""

    def __enter__(self) -> Clock:
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self._began[0], time.process_time() - self._began[1]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Answer all questions by one side: seconds, peak memory, and the tokens of each answer without its end."""
    import torch

    model, processor = loaded(args)
    records, folder = questions(args)
    answer = plain_loop if args.side == "plain_loop" else with_osler
    answer(model, processor, records[:2], folder, args)  # warm up
    clock, texts = answer(model, processor, records, folder, args)
    return {
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10,
        "threads": torch.get_num_threads(),
        "pictures": len({record.images[0].path for record in records}),
        "tokens": [processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts],
    }


def with_osler(
    model: Any, processor: Any, records: list[Any], folder: Path, args: argparse.Namespace
) -> tuple[Clock, list[str]]:
    """The runner as `osler eval` uses it."""
    from osler.evaluation import tasks
    from osler.evaluation.items import to_request
    from osler.evaluation.runners.local import LocalRunner

    runner = LocalRunner(
        (model, processor), batch_size=args.batch_size, max_new_tokens=args.max_new_tokens[0], stop=(STOP,)
    )
    task = tasks.get("records")
    with Clock() as clock:
        answers = runner.answer([to_request(task, record, image_folder=folder) for record in records])
    return clock, [answer.text for answer in answers]


def plain_loop(
    model: Any, processor: Any, records: list[Any], folder: Path, args: argparse.Namespace
) -> tuple[Clock, list[str]]:
    """LLaVA-Med's script in form: one question after the other."""
    import torch
    from PIL import Image
    from transformers import StoppingCriteria

    from osler.messages import prompt_messages, with_image

    tokenizer = processor.tokenizer
    model = model.eval().requires_grad_(False)

    class Keyword(StoppingCriteria):
        def __init__(self, start: int) -> None:
            self.start = start

        def __call__(self, output_ids: Any, scores: Any, **_: Any) -> bool:
            return STOP in tokenizer.batch_decode(output_ids[:, self.start :], skip_special_tokens=True)[0]

    texts = []
    with Clock() as clock:
        for record in records:
            image = Image.open(folder / record.images[0].path).convert("RGB")
            inputs = processor.apply_chat_template(
                with_image(prompt_messages(record.turns), image),
                add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            )  # fmt: skip
            start = inputs["input_ids"].shape[1]
            with torch.inference_mode():
                output = model.generate(
                    **inputs,
                    do_sample=False,
                    max_new_tokens=args.max_new_tokens[0],
                    use_cache=True,
                    stopping_criteria=[Keyword(start)],
                )
            text = tokenizer.batch_decode(output[:, start:], skip_special_tokens=True)[0]
            texts.append(text.split(STOP)[0].strip())
    return clock, texts


def margins(args: argparse.Namespace) -> dict[str, Any]:
    """Logits of the two sides' tokens where they part, from one pass over the prompt and the common tokens."""
    import torch

    from osler.evaluation.items import load_images
    from osler.messages import prompt_messages, with_image
    from osler.models.prompt_inputs import joined_inputs

    model, processor = loaded(args)
    records, folder = questions(args)
    end = processor.tokenizer.eos_token_id
    found = []
    for entry in json.loads(args.differing.read_text()):
        first, second = [*entry["plain"], end], [*entry["osler"], end]
        at = next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
        record = records[entry["item"]]
        prompt = with_image(prompt_messages(record.turns), load_images(record.images, image_folder=folder)[0])
        inputs, _ = joined_inputs(processor, [prompt], [first[:at]])
        with torch.inference_mode():
            logits = model(**inputs).logits[0, -1].float().clone()
            logits[model.generation_config.suppress_tokens or []] = -torch.inf
        pair = {first[at], second[at]}
        found.append(
            {
                "record": record.id,
                "token": at,
                "margin": round(abs(float(logits[first[at]] - logits[second[at]])), 6),
                "two_likeliest": set(logits.topk(2).indices.tolist()) == pair,
            }
        )
    return {"margins": found}


if __name__ == "__main__":
    main()
