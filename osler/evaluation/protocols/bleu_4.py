"""`bleu-4`: BLEU through sacrebleu; the corpus score is pooled, not a mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.report_text import refused, refuses
from osler.evaluation.report_metrics import bleu


def score(answer: str, reference: str) -> Score:
    """BLEU-4 of the item; its counts are pooled to the BLEU of the corpus, a refusal as an empty answer."""
    if refuses(answer):
        return replace(refused(), counts=bleu.sentence("", reference)[1])
    value, counts = bleu.sentence(answer, reference)
    return Score(value=value, counts=counts)


def _pooled(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {f"bleu-{orders}": bleu.corpus(sums, orders) for orders in (1, 2, 3, 4)}


PROTOCOL = Protocol(
    name="bleu-4",
    version="1",
    description="BLEU-4 by sacrebleu (tok:13a, case:lc, smooth:exp); `pooled` is that of the corpus, the mean one of "
    "sentences (eff:yes).",
    applies_to="any",
    function=score,
    pooled=_pooled,
    missing=bleu.missing,
)
