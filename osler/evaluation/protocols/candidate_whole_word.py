"""`candidate-whole-word`: the answer names exactly one of the options, and that is the right one."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.decisions import refusal_at
from osler.evaluation.protocols.vqa_text import normalise

_EDGES = "'‘’*:"  # the prompt shows options in quotes, and models like to answer in quotes or in bold


def _words(text: str) -> list[str]:
    return [word for word in (word.strip(_EDGES) for word in normalise(text).split()) if word]


def named_in_order(text: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Every mention of an option in a text, in the order of the text; see `named_options`."""
    words = _words(text)
    spans = []
    for option in options:
        wanted = _words(option)
        for start in range(len(words) - len(wanted) + 1 if wanted else 0):
            if words[start : start + len(wanted)] == wanted:
                spans.append((start, start + len(wanted), option))
    return tuple(option for _, _, option in _outermost(spans))


def _outermost(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Spans that do not lie inside a longer one, in the order of the text. One pass: a long answer holds many."""
    longest_from: dict[int, int] = {}
    for start, end, _ in spans:
        longest_from[start] = max(end, longest_from.get(start, 0))
    kept = []
    reach, last, earlier = 0, -1, 0  # `earlier`: how far spans reach that begin before `last`
    for span in sorted(spans, key=lambda span: span[:2]):
        start, end, _ = span
        if start != last:
            earlier, last = reach, start
            reach = max(reach, longest_from[start])
        if earlier < end and longest_from[start] == end:
            kept.append(span)
    return kept


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
        and not any(_words(option) == _words(answer) for option in named)
    ):
        return Score(value=0.0, parsed=False, refusal=True)
    if len(named) != 1:
        return Score(value=0.0, parsed=False)
    return Score(value=float(_words(named[0]) == _words(reference)), choice=named[0])


PROTOCOL = Protocol(
    name="candidate-whole-word",
    version="1",
    description="The answer names exactly one option (whole words, VQA normalisation) and it is the right one.",
    applies_to="any",
    function=score,
    needs_options=True,
)
