"""Which runs the study has: objective variants, fractions of the instruction data, seeds, budgets."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from osler.errors import OslerError

Budget = Literal["steps", "compute"]
BUDGETS: tuple[Budget, ...] = get_args(Budget)
BASELINE = "none"
FRACTIONS = (0.1, 0.4, 0.7, 1.0)
SEEDS = (0, 1, 2)
MONITOR_EVERY = (
    20  # measured as often as it is logged: in so small a model the measurement would cost a tenth of a step
)


class StudyError(OslerError):
    """A result, a setting or a choice of runs does not fit."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What the pre-training stage is trained for.

    Args:
        name: in file names and on the command line.
        label: in tables and pictures.
        objectives: objective names and weights of the stage.
        alignment: settings of the alignment objective, if it has one.
    """

    name: str
    label: str
    objectives: dict[str, float]
    alignment: dict[str, Any] = field(default_factory=dict)


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant(BASELINE, "none", {"autoregressive": 1.0}),
        Variant(
            "graph_released",
            "graph alignment, released",
            {"autoregressive": 1.0, "graph_alignment": 1.0},
            {"preset": "released", "monitor_every": MONITOR_EVERY},
        ),
        Variant(
            "graph_improved",
            "graph alignment, improved",
            {"autoregressive": 1.0, "graph_alignment": 1.0},
            {"preset": "improved", "monitor_every": MONITOR_EVERY},
        ),
        Variant(
            "infonce",
            "InfoNCE",
            {"autoregressive": 1.0, "infonce": 1.0},
            {"preset": "improved", "monitor_every": MONITOR_EVERY},
        ),
        Variant(
            "siglip",
            "SigLIP",
            {"autoregressive": 1.0, "siglip": 1.0},
            {"preset": "improved", "monitor_every": MONITOR_EVERY},
        ),
    )
}


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One cell of the grid.

    Args:
        seed: of initial weights, subset and data order.
        fraction: of the instruction records.
        variant: name in `VARIANTS`.
        budget: "steps": the recipe's number of pre-training steps. "compute": as many steps as cost the tokens of an
            aligned run; only the baseline needs such a run, because its steps are the cheap ones.
    """

    seed: int
    fraction: float
    variant: str
    budget: Budget = "steps"

    @property
    def name(self) -> str:
        """Name of the result file: `infonce-0.4-s1-steps`."""
        return f"{self.variant}-{self.fraction:g}-s{self.seed}-{self.budget}"


def all_runs(
    variants: Sequence[str] = tuple(VARIANTS),
    fractions: Sequence[float] = FRACTIONS,
    seeds: Sequence[int] = SEEDS,
) -> list[Run]:
    """The whole grid, ordered so that an unfinished study holds whole seeds and comparable variants."""
    return [
        Run(seed, fraction, variant, budget)
        for seed in seeds
        for fraction in fractions
        for variant in variants
        for budget in BUDGETS
        if budget == "steps" or variant == BASELINE
    ]


def choose(runs: Sequence[Run], only: str) -> list[Run]:
    """Runs that fit a choice such as `variant=none,fraction=0.1,seed=0`.

    Args:
        runs: to choose from.
        only: `key=value` pairs with commas between them; a key that is named twice takes either value. Keys are
            variant, fraction, seed and budget. Empty: all runs.

    Raises:
        StudyError: for a key or value that the grid does not have; names the nearest.
    """
    wanted: dict[str, set[str]] = {}
    for part in filter(None, (part.strip() for part in only.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        known = {"variant", "fraction", "seed", "budget"}
        if not equals or key not in known:
            raise StudyError(f"--only: {part!r} is not of the form key=value with a key of {', '.join(sorted(known))}")
        values = {_spell(getattr(run, key)) for run in runs}
        spelt = _spell(_number(value) if key in ("fraction", "seed") else value)
        if spelt not in values:
            close = difflib.get_close_matches(spelt, values, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(values))}"
            raise StudyError(f"--only: no {key} {value!r} in the study; {hint}")
        wanted.setdefault(key, set()).add(spelt)
    return [run for run in runs if all(_spell(getattr(run, key)) in values for key, values in wanted.items())]


def _spell(value: object) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
