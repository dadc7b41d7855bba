"""`grounding-acc50`: boxes that are found, by the usual threshold of IoU 0.5."""

from __future__ import annotations

from osler.box_matching import BoxMatch
from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.protocols.stated_boxes import HIT, asks_boxes, score_boxes


def score(answer: str, reference: str, regions: Regions) -> Score:
    """Pairs with IoU of at least 0.5, divided by the greater number of boxes: 1 or 0 for one stated and one true box.

    A superfluous box lowers the score as much as a missing one. The detail holds `tp`, `predicted` and `true` (counts,
    to be pooled over items) and `precision`, `recall` and `f1` of this item; where neither side has a box they are 1.
    """
    return score_boxes(answer, regions, lambda match: match.hits(HIT) / max(match.predicted, match.true), _counts)


def _counts(match: BoxMatch) -> dict[str, float]:
    hits = match.hits(HIT)
    none = not match.predicted and not match.true
    return {
        "tp": float(hits),
        "predicted": float(match.predicted),
        "true": float(match.true),
        "precision": 1.0 if none else hits / match.predicted if match.predicted else 0.0,
        "recall": 1.0 if none else hits / match.true if match.true else 0.0,
        "f1": 1.0 if none else 2 * hits / (match.predicted + match.true),
    }


PROTOCOL = Protocol(
    name="grounding-acc50",
    version="1",
    description="Share of boxes found: pairs with IoU of at least 0.5 / greater number of boxes "
    "(right or wrong where one box is stated and one is true).",
    applies_to="any",
    function=score,
    needs_regions=True,
    accepts_regions=asks_boxes,
)
