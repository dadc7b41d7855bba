"""`logra-med-nearest-option`: the string matching behind LoGra-Med's zero-shot classification (and OmniMedVQA's)."""

from __future__ import annotations

from difflib import SequenceMatcher

from osler.evaluation.protocols.base import Protocol, Score


def nearest_option(answer: str, options: tuple[str, ...]) -> str | None:
    """The option most similar to a text; None when all similarities are 0.

    Similarity is `SequenceMatcher(None, option, answer).ratio()`. It depends on the order of its arguments and on case,
    and in texts of 200 characters or more difflib ignores frequent characters, so that a long answer may match nothing.
    All of that is kept. The first option wins ties.
    """
    best, best_ratio = None, 0.0
    for option in options:
        ratio = SequenceMatcher(None, option, answer).ratio()
        if ratio > best_ratio:
            best, best_ratio = option, ratio
    return best


def score(answer: str, reference: str, options: tuple[str, ...]) -> Score:
    """1 when the nearest option is, character by character, the reference.

    A refusal is not recognised: "I cannot tell" resembles "Chest X-ray" and counts as that choice. An answer that
    resembles no option is wrong, as released. An answer that the released code failed to get left its denominator; here
    it is a failure that scores 0.

    Source: released zero-shot evaluation of LoGra-Med, which is OmniMedVQA's question-answering score (arXiv
    2402.09181), described in our own words.
    """
    choice = nearest_option(answer, options)
    if choice is None:
        return Score(value=0.0, parsed=False)
    return Score(value=float(choice == reference), choice=choice)


PROTOCOL = Protocol(
    name="logra-med-nearest-option",
    version="1",
    description="The option most similar to the answer by difflib, as LoGra-Med released it: refusals become choices.",
    applies_to="any",
    function=score,
    needs_options=True,
)
