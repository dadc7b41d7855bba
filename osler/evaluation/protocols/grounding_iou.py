"""`grounding-iou`: IoU of stated and true boxes under the best pairing."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.protocols.stated_boxes import asks_boxes, score_boxes


def score(answer: str, reference: str, regions: Regions) -> Score:
    """Sum of IoU over the best one-to-one pairs, divided by the greater number of boxes; the plain IoU for one and one.

    No readable box: 0, and a failure. No true box: 1 if none is stated, else 0.
    """
    return score_boxes(answer, regions, lambda match: match.iou)


PROTOCOL = Protocol(
    name="grounding-iou",
    version="1",
    description="Mean IoU: sum over best pairs / greater number of boxes; 0 without a readable box; "
    "where nothing is there, 1 if no box is stated.",
    applies_to="any",
    function=score,
    needs_regions=True,
    accepts_regions=asks_boxes,
)
