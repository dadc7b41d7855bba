"""`radgraph-f1`: entities and relations of RadGraph, through the package of its authors."""

from __future__ import annotations

from collections.abc import Mapping

from osler.evaluation.protocols.base import Pair, Protocol, Score
from osler.evaluation.protocols.report_text import refused, refuses
from osler.evaluation.report_metrics import packages


def score(answer: str, reference: str, found: Mapping[Pair, float]) -> Score:
    """RadGraph F1, partial."""
    if refuses(answer):
        return refused()
    return Score(value=min(1.0, max(0.0, found[answer, reference])))


PROTOCOL = Protocol(
    name="radgraph-f1",
    version="1",
    description="RadGraph F1, partial reward, by the package radgraph and the weights it fetches.",
    applies_to="any",
    function=score,
    prepare=packages.radgraph,
    missing=lambda: packages.missing("radgraph"),
)
