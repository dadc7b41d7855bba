"""`chexbert-f1`: the findings of CheXbert, through the package of F1-CheXbert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from osler.evaluation.protocols.base import Pair, Protocol, Score
from osler.evaluation.protocols.chest_findings_f1 import counted, pooled_f1
from osler.evaluation.protocols.report_text import refuses
from osler.evaluation.report_metrics import packages


def prepare(pairs: Sequence[Pair]) -> dict[str, frozenset[str]]:
    """Names of the labels of every text."""
    names = packages.chexbert_names()
    return {
        text: frozenset(name for name, there in zip(names, values, strict=True) if there)
        for text, values in packages.chexbert(pairs).items()
    }


def score(answer: str, reference: str, found: Mapping[str, frozenset[str]]) -> Score:
    """As `chest-findings-f1`, with CheXbert's labels."""
    refusal = refuses(answer)
    ours = frozenset() if refusal else found.get(answer, frozenset())
    return counted(
        ours, found.get(reference, frozenset()), parsed=bool(answer.strip()) and not refusal, refusal=refusal
    )


PROTOCOL = Protocol(
    name="chexbert-f1",
    version="1",
    description="F1 of CheXbert's labels by the package f1chexbert and the weights it fetches; pooled micro and macro "
    "over 14 and 5.",
    applies_to="any",
    function=score,
    prepare=prepare,
    pooled=pooled_f1,
    missing=lambda: packages.missing("f1chexbert"),
)
