"""`medvh-robust-letter`: the one option letter that an answer names, however it is written."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.decisions import refusal_at
from osler.evaluation.protocols.option_letters import index_of, letters, means_an_option, named_letters


def score(answer: str, reference: str, options: tuple[str, ...]) -> Score:
    """1 when exactly one letter is named and it is the right one; none, or several, is a failure.

    An answer that declines before it names a letter is a refusal.
    """
    named = named_letters(answer, options)
    declined = refusal_at(answer)
    if declined is not None and not named_letters(answer[:declined], options):
        return Score(value=0.0, parsed=False, refusal=True)
    if len(named) != 1:
        return Score(value=0.0, parsed=False)
    number = letters(options).index(named[0])
    return Score(value=float(number == index_of(reference, options)), choice=options[number])


PROTOCOL = Protocol(
    name="medvh-robust-letter",
    version="1",
    description="The answer names exactly one option letter, in any usual form, and it is the right one.",
    applies_to="any",
    function=score,
    needs_options=True,
    accepts_options=means_an_option,
)
