"""`meteor-stem`: METEOR through NLTK without synonyms, which needs no data."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.report_text import refused, refuses
from osler.evaluation.report_metrics import meteor


def score(answer: str, reference: str) -> Score:
    """METEOR by words and stems."""
    if refuses(answer):
        return refused()
    return Score(value=min(1.0, meteor.meteor(answer, reference, synonyms=False)))


PROTOCOL = Protocol(
    name="meteor-stem",
    version="1",
    description="As meteor, but words and Porter stems only: below METEOR wherever a synonym would match.",
    applies_to="any",
    function=score,
    missing=meteor.missing,
)
