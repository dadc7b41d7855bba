"""`clinkd-vg-recall`: share of true boxes that some stated box meets, as ClinKD's grounding metric counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.clinkd_text import GROUPS, clean, corners, iou


def has_boxes(reference: str) -> bool:
    """Whether the annotation states boxes; items without one are left out, as released."""
    return bool(corners(reference, bare=False))


def score(answer: str, reference: str) -> Score:
    """Recall at IoU above 0.5; a stated box may meet several true ones, superfluous ones cost nothing, as released."""
    targets = corners(reference, bare=False)
    stated = list(dict.fromkeys(corners(clean(answer), bare=True)))
    hits = sum(any(iou(box, target) > 0.5 for box in stated) for target in targets)
    counts = {"hits": float(hits), "targets": float(len(targets))}
    return Score(value=hits / len(targets) if stated else 0.0, parsed=bool(stated), counts=counts)


def _pooled(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {"recall": sums["hits"] / (sums["targets"] + 1e-8)}


PROTOCOL = Protocol(
    name="clinkd-vg-recall",
    version="1",
    description="Recall of boxes at IoU > 0.5 as ClinKD released it: any stated box may meet a true one, extra boxes "
    "cost nothing; `macro` is the mean over eight modalities, absent ones as 0.",
    applies_to="any",
    function=score,
    accepts=has_boxes,
    pooled=_pooled,
    groups=GROUPS,
)
