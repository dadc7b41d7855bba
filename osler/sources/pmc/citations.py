"""Which figures and panels a phrase names: "Fig. 3", "Figs 2–4", "Figures 1A, C and 2b", "Fig 1(a-c)".

A phrase begins with the word figure; numbers, letters, commas, dashes and "and" that follow belong to it. A range of
numbers names every figure between its ends. Figures of a supplement ("Fig. S2", "Supplementary Figure 2") are others.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# a letter first, so that the search is quick: most texts are long and name few figures
_HEAD = re.compile(r"[Ff](?<![A-Za-z].)(?:ig(?:ure)?s?|IG(?:URE)?S?)\b\.?\s*")
_OTHER = re.compile(
    r"(?:supplement\w*|suppl?\.?|extended\s+data|appendix|additional(?:\s+file\s+\d+:?)?)\s+$", re.IGNORECASE
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?P<prefix>[SA]?)(?P<digits>\d{1,3}(?:\.\d{1,2})?)(?!\d))"
    r"|(?P<open>[(\[])|(?P<close>[)\]])"
    r"|(?P<dash>[-‐‑–—−]|to\b|through\b)"
    r"|(?P<join>,?\s*(?:and|or)\b|[,;&])"
    r"|(?P<letter>[A-Za-z](?![A-Za-z])|(?-i:[A-H]{2,6})(?![A-Za-z])))",
    re.IGNORECASE,
)
_QUANTITY = re.compile(r"\s*(?:%|(?:mm|cm|mg|kg|ml|years?|days?|months?|weeks?|hours?|patients?|cases?)\b)")
_CLOSED = re.compile(r"\s*(?:[,;:).\]–-]|and\b|$)")
MAX_RANGE = 30  # "Figs 2-31" is likelier to be a misread number than thirty figures


class Named(NamedTuple):
    """One figure that a phrase names.

    Args:
        number: of its label.
        panels: letters; empty for the whole figure.
        start: place of the number (of the range's first number) in the text.
        end: after the last sign that belongs to it.
    """

    number: str
    panels: tuple[str, ...]
    start: int
    end: int


def figures_named(text: str) -> list[Named]:
    """Every figure that a text names, in order.

    Example:
        >>> [(name.number, name.panels) for name in figures_named("See Figs 2–4 and 1A, C.")]
        [('2', ()), ('3', ()), ('4', ()), ('1', ('A', 'C'))]
    """
    named: list[Named] = []
    place = 0
    while (head := _HEAD.search(text, place)) is not None:
        found, place = _phrase(text, head.end())
        if found and _OTHER.search(text[max(0, head.start() - 40) : head.start()]) is None:
            named.extend(found)
    return named


def _phrase(text: str, place: int) -> tuple[list[Named], int]:
    """Figures of the phrase that begins here, and where it ends."""
    named: list[Named] = []
    last = ""  # kind of the sign before: "", number, letter, dash, join
    ranged = ""  # kind of the sign before a dash
    opened = 0
    while (token := _TOKEN.match(text, place)) is not None:
        kind = token.lastgroup or ""
        kind = "number" if token["number"] else kind
        if kind == "number":
            if token["prefix"]:  # S2: of a supplement
                if not named and not last:
                    return [], token.end()
                break
            if last in ("number", "letter") or opened:
                break  # "Fig. 2 3 patients"
            if last == "join" and not _goes_on(text, token):
                break
            digits = token["digits"]
            if last == "dash" and ranged == "number":
                named.extend(_between(named[-1], digits, token.end()))
            elif last != "dash":
                named.append(Named(digits, (), token.start("number"), token.end()))
            else:  # "1A-2B": from figure to figure
                named.append(Named(digits, (), token.start("number"), token.end()))
            last = "number"
        elif kind == "letter":
            if not named or not _is_panel(text, token, named[-1], last, ranged, opened):
                break
            panels = named[-1].panels
            letter = token["letter"]
            if len(letter) > 1:  # "1AB"
                new = tuple(letter)
            elif last == "dash":
                first = panels[-1]
                if first.isupper() != letter.isupper() or first >= letter:
                    break
                new = tuple(chr(code) for code in range(ord(first) + 1, ord(letter) + 1))
            else:
                new = (letter,)
            named[-1] = named[-1]._replace(panels=(*panels, *new), end=token.end())
            last = "letter"
        elif kind == "dash":
            if last not in ("number", "letter"):
                break
            ranged, last = last, "dash"
        elif kind == "join":
            if last not in ("number", "letter"):
                break
            last = "join"
        elif kind == "open":
            if last != "number" or opened:
                break
            opened = 1
        else:
            if not opened:
                break
            opened = 0
        place = token.end()
    return named, place


def _between(first: Named, digits: str, end: int) -> list[Named]:
    """The figures after the first of a range; none when it runs backwards or too far."""
    if not (first.number.isdigit() and digits.isdigit()):
        return [Named(digits, (), first.start, end)]
    low, high = int(first.number), int(digits)
    if not low < high <= low + MAX_RANGE:
        return []
    return [Named(str(number), (), first.start, end) for number in range(low + 1, high + 1)]


def _goes_on(text: str, token: re.Match[str]) -> bool:
    """Whether a number after "," or "and" is a figure's, not a quantity ("Fig. 1 and 3 patients", "Fig. 2, 15%")."""
    return _QUANTITY.match(text, token.end()) is None


def _is_panel(text: str, token: re.Match[str], figure: Named, last: str, ranged: str, opened: int) -> bool:
    """Whether a single letter is a panel: "1A", "1(a", "1A, C", "1A-C", "1 A,"; not "Fig. 1 and a mass"."""
    letter = token["letter"]
    attached = token.start("letter") == token.start()  # no space before
    if len(letter) > 1:
        return last == "number" and attached and list(letter) == sorted(set(letter))
    if opened:
        return last != "dash" or bool(figure.panels)
    if last == "number":
        return attached or (letter.isupper() and _CLOSED.match(text, token.end()) is not None)
    if not figure.panels or letter.isupper() != figure.panels[0].isupper():
        return False
    if last == "dash":
        return ranged == "letter"
    if last == "letter":  # "1a b"
        return False
    # after "," or "and": the words "a" and "I" have another word behind them
    return letter not in "aAI" or _CLOSED.match(text, token.end()) is not None
