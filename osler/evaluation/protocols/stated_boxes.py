"""What the grounding protocols share: an answer's boxes paired with the true ones, and what counts as a failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from osler.box_matching import BoxMatch, match_boxes
from osler.evaluation.protocols.base import Score
from osler.evaluation.protocols.regions import Regions

HIT = 0.5
"""IoU from which a box counts as found."""


def asks_boxes(regions: Regions) -> bool:
    """Whether an answer should state boxes at all; not where the prompt gives them."""
    return regions.asked != "classes"


def asks_classes(regions: Regions) -> bool:
    """Whether an answer should name classes; not where the prompt names what to look for."""
    return regions.asked != "boxes"


def score_boxes(
    answer: str,
    regions: Regions,
    value: Callable[[BoxMatch], float],
    detail: Callable[[BoxMatch], Mapping[str, float]] = lambda match: {},
) -> Score:
    """Score the boxes of an answer.

    With true boxes, an answer without any readable box is a failure that scores 0, whether it states none ("absent")
    or states something written like a box that is none ("rejected"). Without true boxes, an answer is right that states
    nothing like a box, and scores 0 otherwise; it is a failure only when none of what it states can be read.

    Args:
        answer: text.
        regions: true ones.
        value: in [0, 1], of the pairing; asked only when both sides have boxes.
        detail: further numbers of the pairing, whatever it holds.
    """
    stated = regions.stated(answer)
    match = match_boxes(stated.boxes, regions.boxes)
    absent = not stated.items and not stated.rejected
    details = {**detail(match), "absent": float(absent), "rejected": float(len(stated.rejected))}
    if not regions.boxes:
        return Score(value=float(absent), parsed=absent or bool(stated.items), detail=details)
    if not stated.items:
        return Score(value=0.0, parsed=False, detail=details)
    return Score(value=value(match), detail=details)
