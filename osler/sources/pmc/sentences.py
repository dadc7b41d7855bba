"""Where sentences of an article end: a stop that is no abbreviation, initial or decimal point."""

from __future__ import annotations

import re

# lower case, without the last stop
_ABBREVIATIONS = frozenset(
    "fig figs figure suppl supp tab ref refs eq eqs no nos vol pp ch sec al e.g i.e eg ie cf vs v dr prof mr mrs ms "
    "st approx ca resp incl est dept inc ltd co corp jr sr var sp spp ssp subsp viz etc".split()
)
_STOP = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s+[\"'“‘(\[]*(?:[A-Z0-9À-ÞΑ-Ω]))")
_LISTED = re.compile(r"(?:,|\band|&|[-–—])\s*$")
_WORD_BEFORE = re.compile(r"(\S+)$")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence, without the spaces between them; together they hold all other characters.

    Example:
        >>> text = "A mass (Fig. 2) was 2.5 cm. Dr. Wu et al. saw it."
        >>> [text[start:end] for start, end in sentence_spans(text)]
        ['A mass (Fig. 2) was 2.5 cm.', 'Dr. Wu et al. saw it.']
    """
    spans: list[tuple[int, int]] = []
    start = len(text) - len(text.lstrip())
    for stop in _STOP.finditer(text):
        if _is_abbreviation(text, start, stop):
            continue
        spans.append((start, stop.end()))
        start = stop.end() + len(text[stop.end() :]) - len(text[stop.end() :].lstrip())
    end = len(text.rstrip())
    if start < end:
        spans.append((start, end))
    return spans


def _is_abbreviation(text: str, start: int, stop: re.Match[str]) -> bool:
    if stop[0] != ".":
        return False
    found = _WORD_BEFORE.search(text, start, stop.start())
    if found is None:
        return False
    word = found[1].lstrip("(['\"“‘")
    if word.lower() in _ABBREVIATIONS:
        return True
    # an initial ("J. Smith"), unless it is the last of some panels ("Fig. 1A, C.", "A and B.")
    listed = _LISTED.search(text, start, found.start()) is not None
    return len(word) == 1 and word.isupper() and word != "I" and not listed
