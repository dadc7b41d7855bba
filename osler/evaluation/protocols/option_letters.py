"""Letters of candidate answers: which letter an option has, and which letters a text names."""

from __future__ import annotations

import re

_LETTERED = re.compile(r"\s*\(?[A-Z]\s*[:.)]")
# letters that are told as the answer: "the answer is (B)", "Answer: B", "option B or C"
_DECLARED = re.compile(
    r"\b(?:answer|option|choice)\b(?:\s+(?:is|would\s+be|should\s+be))?[\s:=*_('\"\[-]{1,8}([a-z])(?![\w'’])",
    re.IGNORECASE,
)
_ANOTHER = re.compile(r"[\s)'\"*]{0,4}(?:or|and|/|,|&)\s{0,4}[('\"*]{0,2}([a-z])(?![\w'’])", re.IGNORECASE)
# a capital letter by itself: "B", "(B)", "B.", "B: Yes", "**B**"
_ALONE = re.compile(r"(?<![\w'’.-])([A-Z])(?![\w'’]|-\w|\.\w)")
# what follows an "A" that is an article, unless no noun phrase begins with it: "A or B", "A is right"
_ARTICLE = re.compile(r"\s+(?!(?:n?or|and|is|because|since)\b)[^\W_]")
_DENIED = re.compile(r"\b(?:not|n['’]t|nor|neither|except)\s+(?:option\s+|choice\s+)?[('\"]?$", re.IGNORECASE)


def letters(options: tuple[str, ...]) -> tuple[str, ...]:
    """Letter of every option, in the order shown: A, B, C ..."""
    return tuple(chr(ord("A") + number) for number in range(len(options)))


def plain(option: str) -> str:
    """An option without a letter of its own: "B: Yes." gives "Yes."."""
    found = _LETTERED.match(option)
    return option[found.end() :].strip() if found else option


def index_of(reference: str, options: tuple[str, ...]) -> int | None:
    """Which option a reference means: one that it equals, with or without its letter, or else one whose letter it is.

    Args:
        reference: "Yes", "B", "B: Yes".
        options: candidate answers in the order shown, with or without letters.
    """
    if reference in options:
        return options.index(reference)
    bare = [plain(option).strip().casefold() for option in options]
    for text in (reference.strip().casefold(), plain(reference).strip().casefold()):
        if text in bare:
            return bare.index(text)
    found = re.fullmatch(r"\s*\(?([A-Za-z])\)?\s*(?:[:.)]\s*.*)?", reference, re.DOTALL)
    number = ord(found.group(1).upper()) - ord("A") if found else len(options)
    return number if number < len(options) else None


def named_letters(text: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Different letters of options that a text names, in their order.

    Letters told as the answer ("the answer is B") count alone, if there are any; else capital letters that stand by
    themselves. An "A" before another word is an article, and so is one letter inside an abbreviation ("C-spine",
    "B.I.D."). A text that is one letter and nothing else may be in lower case.

    Args:
        text: answer.
        options: candidate answers in the order shown.
    """
    known = letters(options)
    bare = re.sub(r"[\s().:*'\"\[\]]", "", text) if len(text) <= 40 else ""
    if len(bare) == 1 and bare.upper() in known:
        return (bare.upper(),)
    declared = []
    for match in _DECLARED.finditer(text):
        following: re.Match[str] | None = match
        while following is not None:
            declared += _known(text, following, known)
            following = _ANOTHER.match(text, following.end())
    alone = [letter for match in _ALONE.finditer(text) for letter in _known(text, match, known)]
    return tuple(dict.fromkeys(declared or alone))


def _known(text: str, match: re.Match[str], known: tuple[str, ...]) -> list[str]:
    """The letter that a match found, if an option has it, it is no article and not denied ("not B")."""
    letter, start = match.group(1).upper(), match.start(1)
    if letter not in known or (letter == "A" and _ARTICLE.match(text, match.end())):
        return []
    return [] if _DENIED.search(text[max(0, start - 24) : start]) else [letter]


def means_an_option(reference: str, options: tuple[str, ...]) -> bool:
    """Whether a reference is one of at most 26 options; an item of which it is none is no item to score."""
    return len(options) <= 26 and index_of(reference, options) is not None
