"""`pmc-vqa-nearest-choice`: the last character of the answer against lettered choices, as PMC-VQA's test does."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.option_letters import index_of, letters, means_an_option, plain


def nearest_choice(answer: str, options: tuple[str, ...]) -> int | None:
    """Number of the choice "A:text" that difflib finds most similar to the last character; None when none holds it.

    The ratio of a text of n characters with one character that it holds is 2 / (n + 1): the *shortest* choice that
    holds the letter wins, which need not be the one that begins with it. The first wins ties.
    """
    lengths = {}
    for number, (letter, option) in enumerate(zip(letters(options), options, strict=True)):
        choice = f"{letter}:{plain(option)}"
        if answer[-1] in choice:
            lengths[number] = len(choice)
    return min(lengths, key=lengths.__getitem__) if lengths else None


def score(answer: str, reference: str, options: tuple[str, ...]) -> Score:
    """1 when the nearest choice is the right one.

    Made for a model that emits one token. Of a sentence only the last character counts, so that "MRI" is the shortest
    choice with an I and an answer that ends with a full stop is often nothing. Source: PMC-VQA (arXiv 2305.10415),
    behaviour of MedVInT-TD's released test in our own words.
    """
    number = nearest_choice(answer, options)
    if number is None:
        return Score(value=0.0, parsed=False)
    return Score(value=float(number == index_of(reference, options)), choice=options[number])


PROTOCOL = Protocol(
    name="pmc-vqa-nearest-choice",
    version="1",
    description="Shortest lettered choice that holds the answer's last character, as PMC-VQA's released test has it.",
    applies_to="any",
    function=score,
    needs_options=True,
    accepts_options=means_an_option,
)
