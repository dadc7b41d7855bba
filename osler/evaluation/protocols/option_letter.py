"""`option-letter`: the one option that an answer names, by its letter or by its text."""

from __future__ import annotations

import re

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.candidate_whole_word import named_options
from osler.evaluation.protocols.decisions import refusal_at
from osler.evaluation.protocols.option_letters import index_of, letters, means_an_option, named_letters, plain


def chosen(answer: str, options: tuple[str, ...]) -> tuple[int, ...]:
    """Numbers of all options that an answer names; letter and text of one option are one choice."""
    bare = tuple(plain(option) for option in options)
    known = letters(options)
    texts = {number for name in named_options(answer, bare) for number, text in enumerate(bare) if text == name}
    # the C of "vitamin C deficiency", an option, is no letter
    rest = answer
    for number in texts:
        rest = re.sub(rf"(?<!\w){re.escape(bare[number].strip())}(?!\w)", " ", rest, flags=re.IGNORECASE)
    return tuple(sorted(texts | {known.index(letter) for letter in named_letters(rest, options)}))


def score(answer: str, reference: str, options: tuple[str, ...]) -> Score:
    """1 when exactly one option is named and it is the right one.

    "B: no" and "no" and "B" are the same choice; "B: yes", where B is no, and "A or B" are failures. An answer that
    declines before it names an option is a refusal, unless the whole answer is the text of an option.
    """
    named = chosen(answer, options)
    declined = refusal_at(answer)
    if declined is not None and not chosen(answer[:declined], options) and index_of(answer, options) is None:
        return Score(value=0.0, parsed=False, refusal=True)
    if len(named) != 1:
        return Score(value=0.0, parsed=False)
    return Score(value=float(named[0] == index_of(reference, options)), choice=options[named[0]])


PROTOCOL = Protocol(
    name="option-letter",
    version="1",
    description="The answer names exactly one option, by letter or by text, and it is the right one.",
    applies_to="any",
    function=score,
    needs_options=True,
    accepts_options=means_an_option,
)
