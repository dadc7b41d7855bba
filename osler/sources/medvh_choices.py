"""MedVH's choices and right answers: one line of lettered texts, and a `gt` of several forms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from osler.errors import RecordError
from osler.sources.json_rows import text

LETTERS = "ABCDEFGHIJ"


def split_choices(line: str) -> list[str]:
    """Texts of a line of choices, without letters and closing full stops.

    Letters are taken in order: each is the first of its kind, at the start or after white space, behind the one before.

    Raises:
        RecordError: when there are fewer than two.

    Example:
        >>> split_choices("A: decreasing. B: acute. C: None of the above.")
        ['decreasing', 'acute', 'None of the above']
    """
    starts: list[tuple[int, int]] = []
    position = 0
    for letter in LETTERS:
        found = re.compile(rf"(?:^|(?<=\s)){letter}:\s*").search(line, position)
        if found is None:
            break
        starts.append((found.start(), found.end()))
        position = found.end()
    ends = [*(start for start, _ in starts[1:]), len(line)]
    options = [_bare(line[start:end]) for (_, start), end in zip(starts, ends, strict=False)]
    if len(options) < 2 or starts[0][0] != len(line) - len(line.lstrip()):
        raise RecordError(f"{line!r:.80} is no line of lettered choices", field="choices")
    return options


def join_choices(options: Sequence[str]) -> str:
    """The line of choices as MedVH writes it.

    Example:
        >>> join_choices(["no", "yes"])
        'A: no. B: yes.'
    """
    return " ".join(f"{letter}: {option}." for letter, option in zip(LETTERS, options, strict=False))


def right_choice(row: Mapping[str, Any], options: Sequence[str], field: str = "gt") -> tuple[int, str]:
    """Index of the right option, and the form in which the file states it.

    The form is "letter" ("C"); "text" ("C: acute" or the text alone, where letter and text agree or no letter stands
    there); or "contradiction", when a letter stands there and the text is that of another option, or the letter is none
    ("n: hernia"): the text decides then, because it cannot be right by accident.

    Raises:
        RecordError: when it is neither a letter nor the text of exactly one option.
    """
    value = text(row, field)
    if re.fullmatch(r"[A-J]\.?", value):
        index = LETTERS.index(value[0])
        if index < len(options):
            return index, "letter"
    lettered = re.match(r"([A-Za-z]):\s*", value)
    folded = [option.casefold() for option in options]
    for candidate in dict.fromkeys((_bare(value), _bare(value[lettered.end() :]) if lettered else "")):
        if folded.count(candidate.casefold()) == 1:
            index = folded.index(candidate.casefold())
            stated = lettered[1] if lettered and candidate != _bare(value) else ""
            return index, "text" if stated in ("", LETTERS[index]) else "contradiction"
    if lettered and lettered[1] in LETTERS[: len(options)]:
        raise RecordError(f"{value!r} names {lettered[1]} but the text of no option", field=field)
    raise RecordError(f"{value!r} is neither a letter nor the text of one of {len(options)} choices", field=field)


def _bare(value: str) -> str:
    return value.strip().rstrip(".").strip()
