"""`clinkd-mia-mbmr`: mean of BLEU-1 to BLEU-4, METEOR and ROUGE-L, ClinKD's score of image analysis, without Java."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.clinkd_text import GROUPS, clean
from osler.evaluation.report_metrics import bleu, meteor
from osler.evaluation.report_metrics.rouge import COCO_BETA, rouge_l


def score(answer: str, reference: str) -> Score:
    """The six measures of this item alone, averaged; the published number is that of a corpus, and pooled."""
    import numpy as np

    text = clean(answer)
    counts = bleu.coco_counts(text, reference)
    counts |= {
        "meteor": meteor.meteor(text, reference, synonyms=False),
        "rouge": rouge_l(text, reference).f(COCO_BETA),
        "items": 1.0,
    }
    value = float(_pooled({name: np.float64(number) for name, number in counts.items()})["mbmr"])
    return Score(value=min(1.0, value), counts=counts)


def _pooled(sums: Mapping[str, Any]) -> dict[str, Any]:
    parts = {f"bleu-{orders}": bleu.coco_corpus(sums, orders) for orders in (1, 2, 3, 4)}
    parts |= {"meteor": sums["meteor"] / sums["items"], "rouge-l": sums["rouge"] / sums["items"]}
    return {"mbmr": sum(parts.values()) / len(parts), **parts}


PROTOCOL = Protocol(
    name="clinkd-mia-mbmr",
    version="1",
    description="Mean of BLEU-1..4, METEOR and ROUGE-L as ClinKD averages them, over plain words; METEOR by words and "
    "stems in place of the Java program: near, not equal to, published numbers. `macro` is the mean over modalities.",
    applies_to="any",
    function=score,
    pooled=_pooled,
    groups=GROUPS,
    missing=meteor.missing,
)
