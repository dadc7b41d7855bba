"""Sample completions as pictures: true and stated boxes, text and rewards, every so many steps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from osler.box_formats import parse_boxes
from osler.training.rewards.base import boxes_of, completion_text
from osler.training.rewards.combined import Combined

PROMPTS, PER_PROMPT = 3, 2
SIDE = 256


class SampleLog(TrainerCallback):
    """Writes `step-000050.png` and a line of `samples.jsonl` for each shown completion.

    Args:
        rewards: keeps the last batch of completions.
        folder: for the files.
        every: optimiser steps between pictures.
    """

    def __init__(self, rewards: Combined, folder: Path, *, every: int) -> None:
        self.rewards, self.folder, self.every = rewards, folder, every
        rewards.keep_last = True

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Forget the lines of steps that a resumed run takes again."""
        path = self.folder / "samples.jsonl"
        if not state.is_world_process_zero or not path.is_file():
            return
        from osler.record_atomic import atomic_write

        lines = path.read_text(encoding="utf-8").splitlines()
        with atomic_write(path) as handle:
            kept = [line for line in lines if _step(line) <= state.global_step]
            handle.write("".join(f"{line}\n" for line in kept).encode())

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Draw after the first step and then every so many."""
        last = self.rewards.last
        if not state.is_world_process_zero or last is None or (state.global_step - 1) % self.every:
            return
        chosen = [
            start + offset
            for start in range(0, min(len(last["completions"]), PROMPTS * self.rewards.group), self.rewards.group)
            for offset in range(min(PER_PROMPT, self.rewards.group))
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(_line(last, self.rewards, number, state.global_step)) for number in chosen]
        with (self.folder / "samples.jsonl").open("a", encoding="utf-8") as handle:
            handle.writelines(f"{line}\n" for line in lines)
        sheet(
            [_card(last, self.rewards, number) for number in chosen], self.folder / f"step-{state.global_step:06d}.png"
        )


def _step(line: str) -> float:
    """Step of a line; infinite for one that a kill cut."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf


def _line(last: dict[str, Any], rewards: Combined, number: int, step: int) -> dict[str, Any]:
    return {
        "step": step,
        "id": last["id"][number],
        "completion": completion_text(last["completions"][number]),
        "reference": last["reference"][number],
        "rewards": {name: values[number] for name, values in rewards.raw.items()},
    }


def _card(last: dict[str, Any], rewards: Combined, number: int) -> tuple[Any, str]:
    """The picture with boxes, and what is written under it."""
    from osler.images.draw_boxes import PREDICTED_COLOUR, TRUE_COLOUR, draw_boxes

    size = last["size"][number]
    text = completion_text(last["completions"][number])
    found = parse_boxes(text, format=last["box_format"][number], width=int(size[0]), height=int(size[1]))
    image = last["images"][number][0].convert("RGB")
    scale = SIDE / max(image.size)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    image = draw_boxes(image, boxes_of(last["boxes"][number], size), colour=TRUE_COLOUR)
    image = draw_boxes(image, found.boxes, colour=PREDICTED_COLOUR, dashed=True)
    marks = ", ".join(
        f"{name} {'-' if values[number] is None else f'{values[number]:.2f}'}" for name, values in rewards.raw.items()
    )
    return image, f"{marks}\n{text}"


def sheet(cards: Sequence[tuple[Any, str]], path: Path) -> None:
    """Pictures side by side with their texts below, as a PNG."""
    import textwrap
    import warnings

    from matplotlib.figure import Figure

    columns = min(len(cards), 4)
    rows = -(-len(cards) // columns)
    figure = Figure(figsize=(3.2 * columns, 4.4 * rows), layout="constrained")
    for number, (image, text) in enumerate(cards, start=1):
        axes = figure.add_subplot(rows, columns, number)
        axes.imshow(image)
        axes.set_axis_off()
        wrapped = "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, 46)[:6])
        # a model may write dollar signs: they are no formula
        axes.set_title(wrapped, fontsize=7, loc="left", y=-0.02, va="top", parse_math=False)
    figure.suptitle("true boxes green, stated ones orange. Not for clinical use.", fontsize=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a model may write letters that no font has
        figure.savefig(path, dpi=110)
