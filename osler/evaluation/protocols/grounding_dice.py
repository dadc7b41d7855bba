"""`grounding-dice`: Dice coefficient of stated and true boxes under the pairing of the greatest IoU."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.protocols.stated_boxes import asks_boxes, score_boxes


def score(answer: str, reference: str, regions: Regions) -> Score:
    """As `grounding-iou` with 2·|A∩B| / (|A| + |B|) for each pair."""
    return score_boxes(answer, regions, lambda match: match.dice)


PROTOCOL = Protocol(
    name="grounding-dice",
    version="1",
    description="Mean Dice of the boxes, paired and divided as in grounding-iou.",
    applies_to="any",
    function=score,
    needs_regions=True,
    accepts_regions=asks_boxes,
)
