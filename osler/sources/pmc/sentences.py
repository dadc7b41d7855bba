"""Where sentences of an article end: a stop that is no abbreviation, initial or decimal point."""

from __future__ import annotations

import re

# lower case, without the last stop
_ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        "fig figs figure suppl supp tab ref refs eq eqs no nos vol pp ch sec al e.g i.e eg ie cf vs v dr "
        "prof mr mrs ms st approx ca resp incl est dept inc ltd co corp jr sr var sp spp ssp subsp viz "
        "etc",
    )
)
_STOP = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s+[\"'“‘(\[]*(?:[A-Z0-9À-ÞΑ-Ω]))")
_SPACE = re.compile(r"\s*")
_LISTED = re.compile(r"(?:,|\band|&|[-–—])\s*$")
_BACK = 40  # characters looked at before a stop: a file of a stranger may be one long word


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence, without the spaces between them; together they hold all other characters.

    Example:
        >>> text = "A mass (Fig. 2) was 2.5 cm. Dr. Wu et al. saw it."
        >>> [text[start:end] for start, end in sentence_spans(text)]
        ['A mass (Fig. 2) was 2.5 cm.', 'Dr. Wu et al. saw it.']
    """
    spans: list[tuple[int, int]] = []
    start = _after_spaces(text, 0)
    for stop in _STOP.finditer(text):
        if stop.end() <= start or _is_abbreviation(text, start, stop):
            continue
        spans.append((start, stop.end()))
        start = _after_spaces(text, stop.end())
    end = len(text.rstrip())
    if start < end:
        spans.append((start, end))
    return spans


def _after_spaces(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    assert found is not None
    return found.end()


def _is_abbreviation(text: str, start: int, stop: re.Match[str]) -> bool:
    if stop[0] != ".":
        return False
    before = text[max(start, stop.start() - _BACK) : stop.start()]
    words = before.rsplit(None, 1)
    if not words or before[-1].isspace():
        return False
    word = words[-1].lstrip("(['\"“‘")
    if word.lower() in _ABBREVIATIONS:
        return True
    # an initial ("J. Smith"), unless it is the last of some panels ("Fig. 1A, C.", "A and B.")
    if len(word) != 1 or not word.isupper() or word == "I":
        return False
    return len(words) == 1 or _LISTED.search(words[0] + " ") is None
