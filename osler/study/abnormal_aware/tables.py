"""Tables of the study as Markdown, from the results alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from osler.evaluation.hierarchical import SeedInterval, seed_interval
from osler.study.abnormal_aware.grid import BASELINE, VARIANTS, Data
from osler.study.abnormal_aware.one_run import SCHEMA
from osler.study.grid import StudyError

METRICS = {"iou": "mean IoU", "acc50": "Acc@0.5", "dice": "Dice", "named": "recognition"}


class Results:
    """Results of one data set.

    Args:
        contents: of the JSON files of the data set.
    """

    def __init__(self, contents: Sequence[dict[str, Any]]) -> None:
        self.by_run = {(content["variant"], content["seed"]): content for content in contents}
        self.variants = [name for name in VARIANTS if any(variant == name for variant, _ in self.by_run)]
        first = contents[0]["items"]
        self.ids, self.images, self.boxes = first["id"], first["image"], np.array(first["boxes"])

    def of(self, variant: str) -> dict[int, dict[str, Any]]:
        """Contents of a variant by seed."""
        return {seed: content for (name, seed), content in sorted(self.by_run.items()) if name == variant}

    def rows(self, variant: str, metric: str) -> dict[int, np.ndarray]:
        """Marks of the items that show something, by seed."""
        shown = self.boxes > 0
        return {seed: np.array(entry["items"][metric], float)[shown] for seed, entry in self.of(variant).items()}

    def interval(self, variant: str, metric: str) -> SeedInterval | None:
        """Mean over seeds and items, with an interval over both."""
        return self._interval(list(self.rows(variant, metric).values()))

    def difference(self, variant: str, metric: str, baseline: str = BASELINE) -> SeedInterval | None:
        """The same of the differences to the baseline, seed by seed and item by item."""
        ours, theirs = self.rows(variant, metric), self.rows(baseline, metric)
        return self._interval([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])

    def _interval(self, rows: list[np.ndarray]) -> SeedInterval | None:
        if not rows:
            return None
        clusters = [image for image, boxes in zip(self.images, self.boxes, strict=True) if boxes]
        return seed_interval(np.stack(rows), clusters)


def read(folder: Path) -> dict[Data, Results]:
    """Results of a folder by data set.

    Raises:
        StudyError: when there is none, a file is broken, or results of a data set answer different questions.
    """
    contents: dict[Any, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*-s*.json")):
        try:
            content = json.loads(path.read_text())
            if content["schema"] != SCHEMA:
                raise ValueError(f"schema {content['schema']}")
            same = contents.setdefault(content["data"], [])
            if same and same[0]["items"]["id"] != content["items"]["id"]:
                raise ValueError("answers other questions than the other results")
        except (KeyError, TypeError, ValueError) as error:
            raise StudyError(f"{path}: is not a result of this study: {error}; delete it to run it again") from error
        same.append(content)
    if not contents:
        raise StudyError(f"{folder}: holds no results; run `osler study abnormal-aware` first")
    return {data: Results(entries) for data, entries in contents.items()}


def score_table(results: Results) -> str:
    """Marks by variant, and of the controls that look at no model."""
    rows = []
    for variant in results.variants:
        runs = results.of(variant)
        steps = ", ".join(sorted({str(entry["steps"]) for entry in runs.values()}))
        failures = [1 - np.mean(np.array(entry["items"]["parsed"])[results.boxes > 0]) for entry in runs.values()]
        cells = [_shown(results.interval(variant, metric)) for metric in METRICS]
        rows.append([VARIANTS[variant].label, str(len(runs)), steps, *cells, f"{100 * float(np.mean(failures)):.1f} %"])
    starts = list(results.of("start").values())
    for control in starts[0]["controls"] if starts else ():
        means = [np.mean([entry["controls"][control][metric] for entry in starts]) for metric in METRICS]
        rows.append([f"control: {control}", str(len(starts)), "", *(f"{mean:.3f}" for mean in means), ""])
    return markdown(["second stage", "seeds", "steps", *METRICS.values(), "no readable box"], rows)


def difference_table(results: Results) -> str:
    """Differences to more supervised tuning; a star where the interval leaves out zero."""
    rows = []
    for variant in results.variants:
        if variant != BASELINE:
            cells = [_difference(results.difference(variant, metric)) for metric in METRICS]
            rows.append([VARIANTS[variant].label, *cells])
    return markdown(["second stage", *METRICS.values()], rows)


def attention_table(results: Results) -> str:
    """Attention of the class words on the true region, in the reference answers."""
    rows = []
    for variant in results.variants:
        entries = [entry["relevance"] for entry in results.of(variant).values()]
        cells = [
            f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
            for values in ([entry[key] for entry in entries] for key in ("of_all", "of_image"))
        ]
        rows.append([VARIANTS[variant].label, *cells, f"{np.mean([entry['area'] for entry in entries]):.3f}"])
    head = ["second stage", "share of all attention", "share of the picture's", "share of the picture's area"]
    return markdown(head, rows)


def cost_table(results: Results) -> str:
    """Seconds of training."""
    rows = []
    for variant in results.variants:
        seconds = [entry["seconds"] for entry in results.of(variant).values()]
        rows.append([VARIANTS[variant].label, f"{np.median(seconds):.0f} ({min(seconds):.0f} to {max(seconds):.0f})"])
    return markdown(["second stage", "seconds, median (range)"], rows)


def _shown(found: SeedInterval | None) -> str:
    return "-" if found is None else f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def _difference(found: SeedInterval | None) -> str:
    if found is None:
        return "-"
    star = "*" if found.low > 0 or found.high < 0 else ""
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f}){star}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
