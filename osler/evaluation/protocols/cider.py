"""`cider`: CIDEr-D / 10, with word weights from the references of the whole corpus."""

from __future__ import annotations

from collections.abc import Sequence

from osler.evaluation.protocols.base import Pair, Protocol, Score
from osler.evaluation.protocols.report_text import refused, refuses
from osler.evaluation.report_metrics.cider import References, cider_d, references


def prepare(pairs: Sequence[Pair]) -> References:
    """How rare n-grams are among the references."""
    return references([reference for _, reference in pairs])


def score(answer: str, reference: str, corpus: References) -> Score:
    """CIDEr-D / 10. With a single reference no word has a weight and the score is 0, as published."""
    return refused() if refuses(answer) else Score(value=cider_d(answer, reference, corpus))


PROTOCOL = Protocol(
    name="cider",
    version="1",
    description="CIDEr-D / 10 (Vedantam et al. 2015); weights from the references of the items scored; plain words, "
    "no PTB tokenizer.",
    applies_to="any",
    function=score,
    prepare=prepare,
)
