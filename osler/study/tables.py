"""Tables of the study as Markdown, from the results alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from osler.evaluation.hierarchical import SeedInterval, seed_interval
from osler.study.grid import BASELINE, VARIANTS, Budget
from osler.study.results import Items, Result

_RETRIEVAL = ("image_to_answers_r1", "answers_to_image_r1", "answers_to_extended_r1", "hamming_leave_one_out")


class Study:
    """Results by cell.

    Args:
        items: the test questions.
        results: of finished runs.
    """

    def __init__(self, items: Items, results: Sequence[Result]) -> None:
        self.items, self.results = items, list(results)
        self.by_run = {result.run: result for result in results}
        self.fractions = sorted({result.run.fraction for result in results})
        self.seeds = sorted({result.run.seed for result in results})
        present = {result.run.variant for result in results}
        self.variants = [name for name in VARIANTS if name in present]

    def cell(self, variant: str, fraction: float, budget: Budget = "steps") -> list[Result]:
        """Runs of a cell, one a seed. Aligned runs count for both budgets: theirs is what equal compute means."""
        wanted = budget if variant == BASELINE else "steps"
        return [
            result
            for result in self.results
            if (result.run.variant, result.run.fraction, result.run.budget) == (variant, fraction, wanted)
        ]

    def accuracy(
        self,
        variant: str,
        fraction: float,
        budget: Budget = "steps",
        *,
        keep: Callable[[dict[str, str]], bool] | None = None,
    ) -> SeedInterval | None:
        """Accuracy of a cell over its seeds; of the questions whose tags `keep` accepts."""
        runs = self.cell(variant, fraction, budget)
        return self._interval([result.right for result in runs], keep) if runs else None

    def difference(self, variant: str, fraction: float, budget: Budget = "steps") -> SeedInterval | None:
        """Accuracy of a cell minus that of the baseline, seed by seed and question by question."""
        ours = {result.run.seed: result.right for result in self.cell(variant, fraction, budget)}
        theirs = {result.run.seed: result.right for result in self.cell(BASELINE, fraction, budget)}
        shared = sorted(ours.keys() & theirs.keys())
        if not shared:
            return None
        return self._interval([list(np.subtract(ours[seed], theirs[seed])) for seed in shared], None)

    def _interval(self, rows: list[list[int]], keep: Callable[[dict[str, str]], bool] | None) -> SeedInterval:
        chosen = [number for number, tags in enumerate(self.items.tags) if keep is None or keep(tags)]
        values = np.asarray(rows, dtype=float)[:, chosen]
        return seed_interval(values, [self.items.images[number] for number in chosen])


def accuracy_table(study: Study, budget: Budget) -> str:
    """Accuracy by variant and fraction, in per cent with intervals."""
    return _by_fraction(study, lambda variant, fraction: _percent(study.accuracy(variant, fraction, budget)))


def difference_table(study: Study, budget: Budget) -> str:
    """Differences to the baseline in points; a star where the interval leaves out zero."""

    def cell(variant: str, fraction: float) -> str:
        found = study.difference(variant, fraction, budget)
        if found is None:
            return "-"
        star = "*" if found.low > 0 or found.high < 0 else ""
        return f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f}){star}"

    return _by_fraction(study, cell, variants=[name for name in study.variants if name != BASELINE])


def retrieval_table(study: Study) -> str:
    """Held-out retrieval after pre-training with all the data and with the smallest part: mean over seeds and range."""
    names = ("image to answers", "answers to image", "answers to extended", "leave-one-out Hamming")
    blocks = []
    for fraction in dict.fromkeys((study.fractions[0], study.fractions[-1])):
        rows = []
        for variant in study.variants:
            runs = study.cell(variant, fraction)
            if not runs:
                continue
            cells = []
            for key in _RETRIEVAL:
                values = [run.content["retrieval"][key] for run in runs]
                scale = 1 if key.startswith("hamming") else 100
                low, high = scale * min(values), scale * max(values)
                digits = 2 if scale == 1 else 1
                cells.append(f"{scale * np.mean(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
            rows.append([VARIANTS[variant].label, *cells])
        blocks.append(f"{_share(fraction)} of the data:\n\n" + _markdown(["objective", *names], rows))
    return "\n\n".join(blocks)


def subgroup_table(study: Study, tag: str) -> str:
    """Accuracy by the values of a tag, with the smallest part and with all the data."""
    values = sorted({tags[tag] for tags in study.items.tags})
    blocks = []
    for fraction in dict.fromkeys((study.fractions[0], study.fractions[-1])):
        rows = []
        for variant in study.variants:
            cells = [
                _percent(study.accuracy(variant, fraction, keep=lambda tags, value=value: tags[tag] == value))  # type: ignore[misc]
                for value in values
            ]
            rows.append([VARIANTS[variant].label, *cells])
        counts = [f"{value} (n={sum(tags[tag] == value for tags in study.items.tags)})" for value in values]
        blocks.append(f"{_share(fraction)} of the data:\n\n" + _markdown(["objective", *counts], rows))
    return "\n\n".join(blocks)


def control_table(study: Study) -> str:
    """Accuracy on real and on blank pictures, and of the majority answer, with all the data."""
    rows = []
    for variant in study.variants:
        runs = [run for run in study.cell(variant, study.fractions[-1]) if run.content["controls"]]
        if not runs:
            continue
        blank, majority = (np.mean([run.content["controls"][name] for run in runs]) for name in ("blank", "majority"))
        real = _percent(study.accuracy(variant, study.fractions[-1]))
        rows.append([VARIANTS[variant].label, real, f"{100 * blank:.1f}", f"{100 * majority:.1f}"])
    return _markdown(["objective", "real picture", "blank picture", "majority answer"], rows)


def cost_table(study: Study) -> str:
    """Steps and seconds of a run by variant and budget."""
    rows = []
    for variant in study.variants:
        for budget in ("steps", "compute") if variant == BASELINE else ("steps",):
            runs = [run for run in study.results if run.run.variant == variant and run.run.budget == budget]
            if not runs:
                continue
            steps = sorted({run.content["pretrain"]["steps"] for run in runs})
            seconds = [run.content["seconds"]["training"] for run in runs]
            rows.append(
                [
                    VARIANTS[variant].label,
                    "both" if variant != BASELINE else f"equal {budget}",
                    str(len(runs)),
                    ", ".join(map(str, steps)),
                    f"{np.median(seconds):.0f} ({min(seconds):.0f} to {max(seconds):.0f})",
                ]
            )
    return _markdown(["objective", "table", "runs", "pre-training steps", "seconds of training, median (range)"], rows)


def _by_fraction(study: Study, cell: Callable[[str, float], str], *, variants: Sequence[str] | None = None) -> str:
    rows = [
        [VARIANTS[variant].label, *(cell(variant, fraction) for fraction in study.fractions)]
        for variant in (study.variants if variants is None else variants)
    ]
    return _markdown(["objective", *(_share(fraction) for fraction in study.fractions)], rows)


def _share(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _percent(found: SeedInterval | None) -> str:
    return "-" if found is None else f"{100 * found.mean:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
