"""METEOR (Banerjee and Lavie, 2005) through NLTK, in two named forms.

NLTK uses the parameters of 2005 (alpha 0.9, beta 3, gamma 0.5); the Java program METEOR 1.5 that most papers run has
others and a paraphrase table, so numbers differ from theirs. NLTK also lets the alignment of repeated words cross,
which makes chunks that METEOR would not make. `meteor` needs WordNet in NLTK's data folder; `meteor-stem` matches words
and stems only and is no METEOR as published.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from osler.evaluation.report_metrics.installed import missing_package
from osler.evaluation.report_metrics.words import words

MAX_WORDS = 5000
"""Words of a text that are compared."""


class _NoSynonyms:
    """Stands in for WordNet: no word has a synonym."""

    def synsets(self, _: str) -> list[Any]:
        return []


def missing() -> str | None:
    """What to install, when NLTK is not."""
    return missing_package("nltk", extra="metrics")


def missing_wordnet() -> str | None:
    """What is lacking for METEOR with synonyms."""
    lacking = missing()
    if lacking is not None:
        return lacking
    if _has_wordnet():
        return None
    return (
        "NLTK has no WordNet: put `corpora/wordnet.zip` into one of NLTK's data folders "
        "(`python -m nltk.downloader wordnet` fetches it); meteor-stem needs none"
    )


@cache
def _has_wordnet() -> bool:
    import nltk

    for name in ("corpora/wordnet", "corpora/wordnet.zip"):
        try:
            nltk.data.find(name)
        except LookupError:
            continue
        return True
    return False


@cache
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


def meteor(answer: str, reference: str, *, synonyms: bool) -> float:
    """METEOR of two texts, in [0, 1].

    Args:
        answer: text.
        reference: text.
        synonyms: also match WordNet synonyms.
    """
    from nltk.translate.meteor_score import single_meteor_score

    # NLTK compares every word with every other; nothing but noise is longer
    stated, wanted = words(answer)[:MAX_WORDS], words(reference)[:MAX_WORDS]
    if not stated or not wanted:
        return 0.0
    if synonyms:
        from nltk.corpus import wordnet as synonym_table
    else:
        synonym_table = _NoSynonyms()
    return float(single_meteor_score(wanted, stated, stemmer=_stemmer(), wordnet=synonym_table))
