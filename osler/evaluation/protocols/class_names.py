"""Classes that a text names, out of a known vocabulary."""

from __future__ import annotations

from collections.abc import Mapping

from osler.evaluation.protocols.base import Score
from osler.evaluation.protocols.candidate_whole_word import named_in_order
from osler.evaluation.protocols.decisions import refusal_at
from osler.evaluation.protocols.regions import Regions


def named_classes(text: str, classes: tuple[str, ...], synonyms: Mapping[str, str]) -> tuple[str, ...]:
    """Different classes that a text names, in the order of the text: whole words, any case, after VQA normalisation.

    A name inside a longer one that is known too does not count. Known limit: "no cyst" names cyst, and an unlisted
    plural names nothing (list it as a synonym).

    Args:
        text: any.
        classes: vocabulary.
        synonyms: other name -> class.
    """
    named = named_in_order(text, (*classes, *synonyms))
    return tuple(dict.fromkeys(synonyms.get(name, name) for name in named))


def joined(classes: tuple[str, ...]) -> str:
    """One text for a set of classes: what is counted as one choice."""
    return "|".join(sorted(set(classes)))


def recognise(answer: str, classes: tuple[str, ...], regions: Regions) -> tuple[tuple[str, ...], Score | None]:
    """Classes that an answer names, and its score if that is settled: nothing named though something is true.

    A text that declines before it names a class is a refusal, as in `candidate-whole-word`.
    """
    named = named_classes(answer, classes, regions.synonyms)
    declined = refusal_at(answer)
    if declined is not None and not named_classes(answer.casefold()[:declined], classes, regions.synonyms):
        return named, Score(value=0.0, parsed=False, refusal=True)
    if regions.names and not named:
        return named, Score(value=0.0, parsed=False)
    return named, None
