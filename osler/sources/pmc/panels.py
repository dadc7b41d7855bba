"""Panels of a figure, from its caption: "(A) Axial CT. (B) Coronal CT.", "CT (a) and MRI (b)", "A, CT; B, MRI"."""

from __future__ import annotations

import re
from typing import NamedTuple

from osler.record_mentions import Panel

_LETTERS = r"[A-Za-z](?:\s*(?:,\s*and|,|and|&|[-–—]|to)\s*[A-Za-z])*"
_BRACKETED = re.compile(rf"[(\[]\s*({_LETTERS})\s*[)\]]")
_LEADING = re.compile(rf"(?:^|(?<=[.;:]\s))({_LETTERS})\s*[:,.)]\s+(?=[A-Z])")
_RANGE = re.compile(r"([A-Za-z])\s*(?:[-–—]|to)\s*([A-Za-z])")


class _Mark(NamedTuple):
    start: int
    end: int
    labels: tuple[str, ...]


def panels_of(caption: str) -> tuple[Panel, ...]:
    """Panels in the caption's order; empty unless the letters run A, B, ... without a gap.

    Example:
        >>> panels_of("Chest CT (A) and MRI (B) of the patient.")
        (Panel(label='A', text='Chest CT'), Panel(label='B', text='and MRI'))
    """
    for pattern in (_BRACKETED, _LEADING):
        marks = [_Mark(found.start(), found.end(), letters(found[1])) for found in pattern.finditer(caption)]
        known = _run({label.upper() for mark in marks for label in mark.labels})
        marks = [mark for mark in marks if mark.labels and all(label.upper() in known for label in mark.labels)]
        if len(known) >= 2 and marks:
            return _texts(caption, marks)
    return ()


def letters(text: str) -> tuple[str, ...]:
    """Letters of a list: "A, C" and "A-C" (which is A, B, C); empty when a range runs backwards."""
    found: list[str] = []
    rest = text
    for span in _RANGE.finditer(text):
        first, last = span[1], span[2]
        if first.isupper() != last.isupper() or first >= last:
            return ()
        rest = rest.replace(span[0], ",".join(chr(code) for code in range(ord(first), ord(last) + 1)), 1)
    for label in re.findall(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])", rest):
        if label not in found:
            found.append(label)
    return tuple(found)


def _run(labels: set[str]) -> set[str]:
    """The labels A, B, ... up to the first that is absent."""
    run: set[str] = set()
    for code in range(ord("A"), ord("Z") + 1):
        if chr(code) not in labels:
            break
        run.add(chr(code))
    return run


def _texts(caption: str, marks: list[_Mark]) -> tuple[Panel, ...]:
    before = caption[: marks[0].start].rstrip()
    leading = not before or before[-1] in ".;:"
    panels: dict[str, str] = {}
    for number, mark in enumerate(marks):
        if leading:
            end = marks[number + 1].start if number + 1 < len(marks) else len(caption)
            text = caption[mark.end : end]
        else:
            text = caption[marks[number - 1].end if number else 0 : mark.start]
        for label in mark.labels:
            text = text.strip(" ,;:.")
            panels[label] = f"{panels[label]} {text}".strip() if label in panels else text
    return tuple(Panel(label, text) for label, text in panels.items())
