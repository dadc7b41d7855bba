"""`candidate-whole-word`: the answer names exactly one of the options, and that is the right one."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.decisions import refusal_at
from osler.word_spans import bare, mentions


def named_in_order(text: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Every mention of an option in a text, in the order of the text; see `named_options`."""
    return tuple(mention.name for mention in mentions(text, options))


def named_options(text: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Options whose words stand in a text in a row, whole words only, after VQA normalisation.

    An option that occurs only inside a longer one is not named: "viral pneumonia" does not name "pneumonia".
    """
    named = set(named_in_order(text, options))
    return tuple(option for option in options if option in named)


def score(answer: str, reference: str, options: tuple[str, ...]) -> Score:
    """1 when exactly one option is named and it is the reference.

    An answer that names none or several is a failure, and so is one that declines before it names any (unless the
    whole answer is an option: "cannot be determined" may be one). Option letters are not understood, because the prompt
    shows none. Known limit: "It is not pneumonia" names pneumonia.
    """
    named = named_options(answer, options)
    declined = refusal_at(answer)
    if (
        declined is not None
        and not named_options(answer.casefold()[:declined], options)
        and not any(bare(option) == bare(answer) for option in named)
    ):
        return Score(value=0.0, parsed=False, refusal=True)
    if len(named) != 1:
        return Score(value=0.0, parsed=False)
    return Score(value=float(bare(named[0]) == bare(reference)), choice=named[0])


PROTOCOL = Protocol(
    name="candidate-whole-word",
    version="1",
    description="The answer names exactly one option (whole words, VQA normalisation) and it is the right one.",
    applies_to="any",
    function=score,
    needs_options=True,
)
