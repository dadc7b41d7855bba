"""Which runs the study has: data, seeds, and what the second stage learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from osler.study.grid import StudyError

Data = Literal["phantom", "bccd"]
DATA: tuple[Data, ...] = get_args(Data)
SEEDS = (0, 1, 2)
BASELINE = "supervised"
RECIPES: dict[str, str] = {"phantom": "small/abnormal_phantom", "bccd": "small/abnormal_bccd"}


@dataclass(frozen=True, slots=True)
class Variant:
    """What the second stage learns from.

    Args:
        name: in file names and on the command line.
        label: in tables.
        rewards: weights; empty for more of the supervised loss, None for no second stage.
    """

    name: str
    label: str
    rewards: dict[str, float] | None


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("start", "supervised tuning (where all begin)", None),
        Variant(BASELINE, "more supervised tuning, equal compute", {}),
        Variant("localisation", "+ localisation reward", {"localisation": 1.0, "relevance": 0.0}),
        Variant("relevance", "+ relevance reward", {"localisation": 0.0, "relevance": 1.0}),
        Variant("both", "+ both rewards", {"localisation": 1.0, "relevance": 1.0}),
    )
}


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One cell of the grid."""

    data: Data
    seed: int
    variant: str

    @property
    def name(self) -> str:
        """Name of the result file: `phantom-both-s1`."""
        return f"{self.data}-{self.variant}-s{self.seed}"


def all_runs(data: Sequence[Data] = DATA, seeds: Sequence[int] = SEEDS) -> list[Run]:
    """The whole grid, ordered so that an unfinished study holds whole seeds."""
    return [Run(name, seed, variant) for name in data for seed in seeds for variant in VARIANTS]


def choose(runs: Sequence[Run], only: str) -> list[Run]:
    """Runs that fit a choice such as `data=phantom,seed=0`; a key that is named twice takes either value.

    Raises:
        StudyError: for a key or value that the grid does not have.
    """
    wanted: dict[str, set[str]] = {}
    for part in filter(None, (part.strip() for part in only.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in ("data", "seed", "variant"):
            raise StudyError(f"--only: {part!r} is not of the form key=value with a key of data, seed, variant")
        known = {str(getattr(run, key)) for run in runs}
        if value not in known:
            raise StudyError(f"--only: no {key} {value!r} in the study; there are {', '.join(sorted(known))}")
        wanted.setdefault(key, set()).add(value)
    return [run for run in runs if all(str(getattr(run, key)) in values for key, values in wanted.items())]
