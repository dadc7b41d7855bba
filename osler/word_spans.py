"""Where a text names a class, and which of its tokens do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from osler.vqa_words import Word, normal_words

Span = tuple[int, int]

_EDGES = "'‘’*:"  # prompts show options in quotes, and models like to answer in quotes or in bold


def class_names(categories: Sequence[str], synonyms: Sequence[str] = ()) -> tuple[str, ...]:
    """Names to look for, without repetition: categories as they stand, then synonyms."""
    return tuple(dict.fromkeys(name for name in (*categories, *synonyms) if name.strip()))


class Mention(NamedTuple):
    """A name in a text, with the characters that it takes up."""

    name: str
    start: int
    end: int


def mentions(text: str, names: Sequence[str]) -> list[Mention]:
    """Every mention of any of some names in a text, in the order of the text.

    A name is mentioned where its words stand in a row: whole words, any case, after the normalisation of visual
    question answering ("soft-tissue mass" mentions "soft tissue"). One inside a longer name does not count: "viral
    pneumonia" is no mention of "pneumonia" when both are known. Known limit: "no cyst" mentions cyst.

    Args:
        text: to look through.
        names: to look for.
    """
    words = _words(text)
    spoken = [word.text for word in words]
    found = []
    for name in names:
        wanted = [word.text for word in _words(name)]
        for start in range(len(words) - len(wanted) + 1 if wanted else 0):
            if spoken[start : start + len(wanted)] == wanted:
                found.append((start, start + len(wanted), name))
    return [Mention(name, words[start].start, words[end - 1].end) for start, end, name in _outermost(found)]


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


def find_names(text: str, names: Sequence[str]) -> list[Span]:
    """Characters of every mention of any of some names, see `mentions`."""
    return [(start, end) for _, start, end in mentions(text, names)]


def bare(text: str) -> list[str]:
    """Normalised words of a text without the quotation marks and the like around them: what `mentions` compares."""
    return [word.text for word in _words(text)]


def _words(text: str) -> list[Word]:
    found = []
    for word, start, end in normal_words(text):
        raw = text[start:end]
        ahead = len(raw) - len(raw.lstrip(_EDGES))
        behind = len(raw.rstrip(_EDGES))
        if stripped := word.strip(_EDGES):
            found.append(Word(stripped, start + ahead, start + max(behind, ahead)))
    return found


def token_spans(ids: Sequence[int], decode: Callable[[Sequence[int]], str]) -> list[Span]:
    """Characters that each token adds to the decoded text.

    Decoding a growing prefix works with every tokenizer: byte-level ones, whose single tokens are no text, and those
    whose decoder joins words.

    Args:
        ids: T token ids.
        decode: of the tokenizer, without special tokens.
    """
    ends = [len(decode(ids[:count])) for count in range(len(ids) + 1)]
    return [(start, max(start, end)) for start, end in pairwise(ends)]


def tokens_of(spans: Sequence[Span], tokens: Sequence[Span]) -> list[int]:
    """Indices of the tokens that share a character with any of some spans."""
    return [
        index for index, (start, end) in enumerate(tokens) if any(start < stop and end > begin for begin, stop in spans)
    ]
