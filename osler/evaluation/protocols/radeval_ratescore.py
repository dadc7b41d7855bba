"""`radeval-ratescore`: RaTEScore through RadEval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from osler.evaluation.protocols.base import Pair, Protocol, Score
from osler.evaluation.protocols.report_text import refused, refuses
from osler.evaluation.report_metrics import packages


def prepare(pairs: Sequence[Pair]) -> dict[Pair, float]:
    """RaTEScore of every pair."""
    return packages.radeval(pairs, "ratescore")


def score(answer: str, reference: str, found: Mapping[Pair, float]) -> Score:
    """RaTEScore (Zhao et al. 2024), kept within [0, 1]."""
    if refuses(answer):
        return refused()
    return Score(value=min(1.0, max(0.0, found[answer, reference])))


PROTOCOL = Protocol(
    name="radeval-ratescore",
    version="1",
    description="RaTEScore by the package radeval and the weights it fetches.",
    applies_to="any",
    function=score,
    prepare=prepare,
    missing=lambda: packages.missing("radeval"),
)
