"""`chair`: the share of stated chest findings that the reference does not state (Rohrbach et al., EMNLP 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osler.evaluation.findings import label, stated
from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.report_text import refuses


def score(answer: str, reference: str) -> Score:
    """1 - CHAIR of the item, so that more is better as everywhere; CHAIR itself is pooled.

    An answer that states no finding invents none and scores 1: read it beside `chest-findings-f1`. One in which nothing
    was understood is a failure.
    """
    refusal = refuses(answer)
    understood = {} if refusal else label(answer)
    ours, theirs = stated(understood), stated(label(reference))
    counts = {"stated": float(len(ours)), "invented": float(len(ours - theirs)), "wanted": float(len(theirs))}
    if not understood:
        return Score(value=0.0, parsed=False, refusal=refusal, counts=counts)
    return Score(value=1 - len(ours - theirs) / len(ours) if ours else 1.0, counts=counts)


def _pooled(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "chair": sums["invented"] / sums["stated"],
        "recall": (sums["stated"] - sums["invented"]) / sums["wanted"],
    }


PROTOCOL = Protocol(
    name="chair",
    version="1",
    description="1 - share of stated chest findings that the reference does not state; `pooled.chair` is that share "
    "over all items (less is better).",
    applies_to="any",
    function=score,
    pooled=_pooled,
)
