"""python -m benchmarks.phantom_probe [FOLDER]

How hard the phantom questions are, as one JSON line: accuracy on the test part by question type, of

    majority   the commonest answer of the training facts,
    linear     ridge regression from raw pixels to one-hot answers, a probe for each type, strength chosen on dev,
    cnn        a small convolutional network with a head for each type, trained for `--epochs` on one core.

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


def linear(
    train: Part, dev: Part, test: Part, strengths: tuple[float, ...] = (100.0, 1000.0, 10000.0, 100000.0)
) -> dict[str, Any]:
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
    """Small convolutional network: pooled features and an 8 x 8 grid that keeps places, then one output per answer."""

    def __init__(self, outputs: int) -> None:
        super().__init__()

        def layer(inputs: int, channels: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
            convolution = nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())

        self.body = nn.Sequential(layer(1, 24, 2, 5), layer(24, 48, 2), layer(48, 64), layer(64, 96, 2), layer(96, 96))
        self.mix = layer(96, 24, 1, 1)
        self.shared = nn.Sequential(nn.Dropout(0.1), nn.Linear(192 + 24 * 64, 128), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(128 + 192, outputs)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Scores of all answers, from pixels of shape (batch, 1, 64, 64)."""
        grid = self.body(pixels)
        pooled = torch.cat([grid.mean((2, 3)), grid.amax((2, 3))], 1)
        joint = self.shared(torch.cat([pooled, self.mix(grid).flatten(1)], 1))
        return self.head(torch.cat([joint, pooled], 1)).float()


class Labels:
    """Answers of all heads as indices, and how they change when a picture is mirrored."""

    def __init__(self, part: Part) -> None:
        answers = heads(part)
        self.names = {head: sorted({reply for reply in replies if reply}) for head, replies in answers.items()}
        self.sizes = [len(names) for names in self.names.values()]
        columns = [[self.names[h].index(reply) if reply else -100 for reply in r] for h, r in answers.items()]
        self.values = torch.tensor(columns).T

    def mirror(self, labels: torch.Tensor, rows: torch.Tensor, head: str, first: str, second: str) -> None:
        """Exchange two answers of a head in the chosen rows, in place."""
        column, names = list(self.names).index(head), self.names[head]
        one, two = names.index(first), names.index(second)
        old = labels[:, column].clone()
        labels[rows & (old == one), column] = two
        labels[rows & (old == two), column] = one


def augmented(pixels: torch.Tensor, labels: torch.Tensor, book: Labels) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures inverted, mirrored in both directions and shifted by at most two pixels, with their labels."""
    labels = labels.clone()
    pixels = pixels * torch.where(torch.rand(len(pixels), 1, 1, 1) < 0.5, -1.0, 1.0)
    for axis, head, first, second in ((-1, "side", "left", "right"), (-2, "zone", "upper", "lower")):
        rows = torch.rand(len(pixels)) < 0.5
        pixels[rows] = pixels[rows].flip(axis)
        book.mirror(labels, rows, head, first, second)
    down, across = torch.randint(-2, 3, (2,)).tolist()
    return pixels.roll((down, across), (2, 3)).contiguous(memory_format=torch.channels_last), labels


def cnn(train: Part, test: Part, *, epochs: int, seed: int, half: bool) -> dict[str, Any]:
    """Train the network with a one-cycle schedule and ask it."""
    torch.manual_seed(seed)
    book, batch, rate = Labels(train), 64, 4e-3
    pixels = torch.tensor(train.pixels)[:, None] - 0.5
    network = Network(sum(book.sizes)).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    weights = [0.5 if " " in head else 1.0 for head in book.names]
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.05)
    steps = len(pixels) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * steps, pct_start=0.15)
    began = time.process_time()
    for _ in range(epochs):
        for rows in torch.randperm(len(pixels))[: steps * batch].split(batch):
            shown, labels = augmented(pixels[rows], book.values[rows], book)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                scores = network(shown).split(book.sizes, 1)
            losses = [
                weight * functional.cross_entropy(score, labels[:, number], ignore_index=-100, reduction="sum") / batch
                for number, (score, weight) in enumerate(zip(scores, weights, strict=True))
            ]
            optimiser.zero_grad()
            torch.stack(losses).sum().backward()
            optimiser.step()
            schedule.step()
    spent = time.process_time() - began
    with torch.no_grad():
        found = network.eval()(torch.tensor(test.pixels)[:, None] - 0.5).split(book.sizes, 1)
    guesses = {head: [n[k] for k in out.argmax(1)] for (head, n), out in zip(book.names.items(), found, strict=True)}
    parameters = sum(p.numel() for p in network.parameters())
    return {**score(test, guesses), "epochs": epochs, "cpu_seconds": round(spent, 1), "parameters": parameters}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="a phantom set; without it one is drawn")
    parser.add_argument("--epochs", type=int, default=18, help="of the network")
    parser.add_argument("--bfloat16", action="store_true", help="train the network in bfloat16: faster with AMX")
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
        "cnn": cnn(train, test, epochs=args.epochs, seed=args.seed, half=args.bfloat16),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
