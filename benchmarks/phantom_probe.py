"""python -m benchmarks.phantom_probe [FOLDER]

How hard the phantom questions are, as one JSON line: accuracy on the test part by question type, of

    majority   the commonest answer of the training facts,
    linear     ridge regression from raw pixels to one-hot answers, a probe for each type, strength chosen on dev,
    cnn        a small convolutional network with a head for each type, trained for `--seconds` on one core.

Each learns from the facts of the instruct and train pictures (read from regions and tags) and is asked the test
questions; none of them reads the question, so presence is answered by a head for each kind of finding. `mean` is the
mean over question types. Without FOLDER the "study" set of seed 0 is drawn first.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from osler.record_files import read_records
from osler.records import Record
from osler.sources.phantom_questions import TYPES, answer
from osler.sources.phantom_scene import KINDS, Scene, finding_of

FACTS = tuple(kind for kind in TYPES if kind != "presence")


class Part(NamedTuple):
    """Pictures with facts, and questions on them.

    Args:
        pixels: shape (pictures, height, width), float32 in [0, 1].
        facts: answer by question type, or None, for each picture.
        present: shape (pictures, kinds), which kinds occur.
        questions: picture, record.
    """

    pixels: np.ndarray
    facts: list[dict[str, str | None]]
    present: np.ndarray
    questions: list[tuple[int, Record]]


def load(folder: Path, *names: str) -> Part:
    """Pictures of record files, each once."""
    index: dict[str, int] = {}
    pixels, facts, present, questions = [], [], [], []
    for name in names:
        for record in read_records(folder / f"{name}.jsonl"):
            path = record.images[0].path
            if path not in index:
                index[path] = len(index)
                findings = tuple(finding_of(region.label, region.box) for region in record.regions)
                scene = Scene(record.tags["modality"], record.tags["organ"], findings)  # type: ignore[arg-type]
                pixels.append(np.asarray(Image.open(folder / path), dtype=np.float32) / 255)
                facts.append({kind: answer(scene, kind) for kind in FACTS})
                present.append([kind in scene.kinds for kind in KINDS])
            if "answer_type" in record.tags:
                questions.append((index[path], record))
    return Part(np.stack(pixels), facts, np.array(present, dtype=np.float32), questions)


def kind_asked(record: Record) -> int:
    """Index of the kind that a presence question names."""
    return next(number for number, kind in enumerate(KINDS) if kind in record.question)


def score(part: Part, guesses: dict[str, list[str]]) -> dict[str, Any]:
    """Accuracies by type and by tag.

    Args:
        part: with questions.
        guesses: by question type, and by "presence <kind>", one guess for each picture.
    """
    hits: dict[str, list[bool]] = defaultdict(list)
    by_tag: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for picture, record in part.questions:
        kind = record.tags["question_type"]
        head = kind if kind != "presence" else f"presence {KINDS[kind_asked(record)]}"
        hit = guesses[head][picture] == record.answer
        hits[kind].append(hit)
        by_tag[record.tags["combination"]][kind].append(hit)
        by_tag[record.tags["modality"]][kind].append(hit)
    result: dict[str, Any] = {kind: round(float(np.mean(hits[kind])), 3) for kind in TYPES}
    result["mean"] = round(float(np.mean([result[kind] for kind in TYPES])), 3)
    for tag, kinds in by_tag.items():
        result[f"mean {tag}"] = round(float(np.mean([np.mean(values) for values in kinds.values()])), 3)
    return result


def heads(part: Part) -> dict[str, list[str | None]]:
    """All answers to learn: one list for each head, None where a picture has no answer."""
    found: dict[str, list[str | None]] = {kind: [fact[kind] for fact in part.facts] for kind in FACTS}
    for number, kind in enumerate(KINDS):
        found[f"presence {kind}"] = ["yes" if row[number] else "no" for row in part.present]
    return found


def majority(train: Part, test: Part) -> dict[str, Any]:
    """Always the commonest answer; for presence the commonest of the questions, which are balanced: "yes"."""
    guesses = {}
    for head, answers in heads(train).items():
        best = Counter(reply for reply in answers if reply).most_common(1)[0][0]
        guesses[head] = [best if " " not in head else "yes"] * len(test.pixels)
    return score(test, guesses)


def linear(train: Part, dev: Part, test: Part, strengths: tuple[float, ...] = (30.0, 300.0, 3000.0)) -> dict[str, Any]:
    """Ridge regression on standardised pixels; for each type the strength that is best on dev."""
    flat = [torch.tensor(part.pixels).flatten(1) for part in (train, dev, test)]
    mean, spread = flat[0].mean(0), flat[0].std(0) + 1e-3
    x, x_dev, x_test = (torch.cat([(f - mean) / spread, torch.ones(len(f), 1)], 1) for f in flat)
    kernel = x @ x.T
    dev_answers = heads(dev)
    guesses: dict[str, list[str]] = {}
    for head, answers in heads(train).items():
        rows = torch.tensor([number for number, reply in enumerate(answers) if reply])
        names = sorted({reply for reply in answers if reply})
        target = functional.one_hot(torch.tensor([names.index(str(answers[row])) for row in rows])).float()
        if " " in head:  # weigh "yes" and "no" alike, as the questions do
            target = target / target.mean(0) / 2
        best = -1.0
        for strength in strengths:
            gram = kernel[rows][:, rows] + strength * torch.eye(len(rows))
            weights = x[rows].T @ torch.cholesky_solve(target - target.mean(0), torch.linalg.cholesky(gram))
            dev_guess = (x_dev @ weights).argmax(1)
            right = [names[guess] == reply for guess, reply in zip(dev_guess, dev_answers[head], strict=True) if reply]
            if np.mean(right) > best:
                best = float(np.mean(right))
                guesses[head] = [names[guess] for guess in (x_test @ weights).argmax(1)]
    return score(test, guesses)


class Network(nn.Module):
    """Small convolutional network: features on an 8 x 8 grid, kept in place for the heads that tell where."""

    def __init__(self, outputs: dict[str, int]) -> None:
        super().__init__()

        def layer(inputs: int, channels: int, stride: int = 1) -> nn.Sequential:
            convolution = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())

        self.body = nn.Sequential(
            layer(1, 16), layer(16, 32, 2), layer(32, 32), layer(32, 64, 2), layer(64, 64), layer(64, 96, 2)
        )
        self.mix = nn.Sequential(nn.Conv2d(96, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.shared = nn.Sequential(nn.Linear(96 * 2 + 32 * 64, 128), nn.ReLU(), nn.Dropout(0.2))
        self.heads = nn.ModuleDict({name: nn.Linear(128 + 192, count) for name, count in outputs.items()})

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores by head, from pixels of shape (batch, 1, 64, 64)."""
        grid = self.body(pixels)
        pooled = torch.cat([grid.mean((2, 3)), grid.amax((2, 3))], 1)
        joint = self.shared(torch.cat([pooled, self.mix(grid).flatten(1)], 1))
        return {name: head(torch.cat([joint, pooled], 1)) for name, head in self.heads.items()}


def cnn(train: Part, test: Part, *, seconds: float, seed: int) -> dict[str, Any]:
    """Train the network for a time, with mirrored and inverted pictures, and ask it."""
    torch.manual_seed(seed)
    answers = heads(train)
    names = {head: sorted({reply for reply in replies if reply}) for head, replies in answers.items()}
    labels = {
        head: torch.tensor([names[head].index(reply) if reply else -100 for reply in replies])
        for head, replies in answers.items()
    }
    pixels = torch.tensor(train.pixels)[:, None] - 0.5
    network = Network({head: len(values) for head, values in names.items()}).to(memory_format=torch.channels_last)
    swap = torch.tensor([names["side"].index({"left": "right", "right": "left"}.get(s, s)) for s in names["side"]])
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    batch, began, epochs, spent = 64, time.process_time(), 0, 0.0
    while spent < seconds:
        for rows in torch.randperm(len(pixels)).split(batch):
            spent = time.process_time() - began
            for group in optimiser.param_groups:
                group["lr"] = 2e-3 * max(0.02, min(1.0, 3 * (1 - spent / seconds)))
            x = pixels[rows] * torch.where(torch.rand(len(rows), 1, 1, 1) < 0.5, -1.0, 1.0)
            mirrored = torch.rand(len(rows)) < 0.5
            x[mirrored] = x[mirrored].flip(-1)
            scores = network.train()(x.contiguous(memory_format=torch.channels_last))
            loss = torch.zeros(())
            for head, output in scores.items():
                target = labels[head][rows]
                if head == "side":
                    target = torch.where(mirrored & (target >= 0), swap[target.clamp(min=0)], target)
                if (target >= 0).any():
                    loss = loss + functional.cross_entropy(output, target) * (0.5 if " " in head else 1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if spent >= seconds:
                break
        epochs += 1
    network.eval()
    with torch.no_grad():
        found = network(torch.tensor(test.pixels)[:, None] - 0.5)
    guesses = {head: [names[head][guess] for guess in output.argmax(1)] for head, output in found.items()}
    parameters = sum(p.numel() for p in network.parameters())
    return {**score(test, guesses), "epochs": epochs, "seconds": round(spent, 1), "parameters": parameters}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="a phantom set; without it one is drawn")
    parser.add_argument("--seconds", type=float, default=60, help="processor time to train the network")
    parser.add_argument("--seed", type=int, default=0, help="of the network")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder
        if folder is None:
            from osler.sources import phantom

            folder = Path(scratch)
            phantom.build(folder)
        train, dev, test = load(folder, "instruct", "train"), load(folder, "dev"), load(folder, "test")
    result = {
        "benchmark": "phantom_probe",
        "pictures": {"training": len(train.pixels), "dev": len(dev.pixels), "test": len(test.pixels)},
        "questions": len(test.questions),
        "majority": majority(train, test),
        "linear": linear(train, dev, test),
        "cnn": cnn(train, test, seconds=args.seconds, seed=args.seed),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
