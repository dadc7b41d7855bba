"""`omnimedvqa-qa-caseless`: OmniMedVQA's question-answering score without regard to case; not as released."""

from __future__ import annotations

from dataclasses import replace

from osler.evaluation.protocols import logra_med_nearest_option
from osler.evaluation.protocols.base import Protocol, Score


def score(answer: str, reference: str, options: tuple[str, ...]) -> Score:
    """As `omnimedvqa-qa-score`, of texts in lower case: how much of that score is capital letters."""
    folded = tuple(option.casefold() for option in options)
    found = logra_med_nearest_option.score(answer.casefold(), reference.casefold(), folded)
    return found if found.choice is None else replace(found, choice=options[folded.index(found.choice)])


PROTOCOL = Protocol(
    name="omnimedvqa-qa-caseless",
    version="1",
    description="omnimedvqa-qa-score of texts in lower case; not as released.",
    applies_to="any",
    function=score,
    needs_options=True,
)
