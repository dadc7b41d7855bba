"""`recognition-lenient`: the answer names every true class, whatever else it names."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.class_names import joined, recognise
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.protocols.stated_boxes import asks_classes


def score(answer: str, reference: str, options: tuple[str, ...], regions: Regions) -> Score:
    """1 when every true class is named. An answer that lists all classes earns 1: read `recognition-strict` beside."""
    named, settled = recognise(answer, options, regions)
    if settled is not None:
        return settled
    right = set(regions.names) <= set(named)
    return Score(value=float(right), choice=joined(regions.names if right else named))


def _shows_something(regions: Regions) -> bool:
    # without a true class every answer would name all of them
    return asks_classes(regions) and bool(regions.names)


PROTOCOL = Protocol(
    name="recognition-lenient",
    version="1",
    description="The answer names every true class, whatever else it names; items that show nothing are left out.",
    applies_to="any",
    function=score,
    needs_options=True,
    needs_regions=True,
    accepts_regions=_shows_something,
)
