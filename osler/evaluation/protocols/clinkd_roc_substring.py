"""`clinkd-roc-substring`: every word of the annotation stands somewhere in the answer, as ClinKD classifies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.clinkd_text import GROUPS, clean


def score(answer: str, reference: str) -> Score:
    """1 when each word of the reference is a substring of the answer; order is ignored, "is" stands in "this"."""
    text = clean(answer).lower()
    hit = all(word in text for word in reference.lower().split(" "))
    return Score(value=float(hit), counts={"hits": float(hit), "items": 1.0})


def _pooled(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {"accuracy": sums["hits"] / (sums["items"] + 1e-8)}


PROTOCOL = Protocol(
    name="clinkd-roc-substring",
    version="1",
    description="Every word of the reference is a substring of the answer, as ClinKD released it; `macro` is the mean "
    "over eight modalities, absent ones as 0.",
    applies_to="any",
    function=score,
    pooled=_pooled,
    groups=GROUPS,
)
