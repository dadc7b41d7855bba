"""`medvh-official-letter`: the first character of the answer, as MedVH's released scripts score."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.option_letters import index_of, letters, means_an_option


def score(answer: str, reference: str, options: tuple[str, ...]) -> Score:
    """1 when the very first character is the right letter.

    "Cannot tell" is therefore C, "Based on the image" B, and "(B)" or " B" nothing. The released script stops at an
    empty answer; here that is a failure. Source: MedVH (arXiv 2407.02730), behaviour of the released scripts in our own
    words.
    """
    known = letters(options)
    if answer[0] not in known:
        return Score(value=0.0, parsed=False)
    return Score(
        value=float(known.index(answer[0]) == index_of(reference, options)), choice=options[known.index(answer[0])]
    )


PROTOCOL = Protocol(
    name="medvh-official-letter",
    version="1",
    description='First character of the answer, as MedVH released it: "Cannot tell" counts as option C.',
    applies_to="any",
    function=score,
    needs_options=True,
    accepts_options=means_an_option,
)
