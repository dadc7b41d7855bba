"""Words of a text after the normalisation of visual question answering, with their places in it.

The published description (VQA evaluation, visualqa.org, "Making all characters lowercase; removing periods except ...")
has these steps: lower case; periods go unless they are decimal points; number words become digits; articles go; missing
apostrophes of contractions are restored; other punctuation except apostrophe and colon becomes a space, and a comma
between digits goes without one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBER_WORDS = {"none": "0"} | {word: str(value) for value, word in enumerate(_NUMBERS)}
ARTICLES = frozenset({"a", "an", "the"})
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'

# Words that are only ever a contraction without its apostrophe; "were", "well", "ill", "its" are words of their own.
_NEGATED = "ai are ca could did does do had has have is might must need ought sha should was were wo would"
_SUFFIXES = {
    "'s": "he she that there what when where who why how somebody someone let",
    "'d": "it there they where who you how someone something",
    "'ll": "it they what who why you how somebody someone something",
    "'re": "there they what why you",
    "'ve": "could might must should they we what where who would you",
}
CONTRACTIONS = (
    {f"{stem}nt": f"{stem}n't" for stem in _NEGATED.split()}
    | {f"{stem}{end[1:]}": f"{stem}{end}" for end, stems in _SUFFIXES.items() for stem in stems.split()}
    | {"maam": "ma'am", "oclock": "o'clock", "twas": "'twas", "yall": "y'all"}
)

PERIOD_BEFORE_NON_DIGIT = re.compile(r"\.(?!\d)")
_COMMA_OUTSIDE_NUMBER = re.compile(r"(?<!\d),|,(?!\d)")
_MARKS = PUNCTUATION.replace(",", "")
_SPACES_FOR_MARKS = str.maketrans(_MARKS, " " * len(_MARKS))


class Word(NamedTuple):
    """A normalised word and the characters of the text that it comes from.

    Args:
        text: normalised.
        start: offset of its first character.
        end: offset after its last character.
    """

    text: str
    start: int
    end: int


def normal_word(word: str) -> str | None:
    """A lower-case word without punctuation, as the normalisation writes it; None for an article."""
    word = NUMBER_WORDS.get(word, word)
    return None if word in ARTICLES else CONTRACTIONS.get(word, word)


def normal_words(text: str) -> list[Word]:
    """Words that remain of a text, in its order.

    A text that would vanish (the option letter "A" is an article) gives its words as they are, in lower case, so that
    two different texts never both become none.

    Args:
        text: any.
    """
    folded = text.casefold()
    # every replacement keeps the length, so that offsets stay those of the folded text
    plain = _COMMA_OUTSIDE_NUMBER.sub(" ", folded).translate(_SPACES_FOR_MARKS)
    plain = PERIOD_BEFORE_NON_DIGIT.sub(" ", plain)
    found = [
        Word(word, match.start(), match.end())
        for match in re.finditer(r"\S+", plain)
        if (word := normal_word(match.group().replace(",", ""))) is not None
    ]
    found = found or [Word(match.group(), match.start(), match.end()) for match in re.finditer(r"\S+", folded)]
    if len(folded) == len(text):
        return found
    places = [place for place, letter in enumerate(text) for _ in letter.casefold()]  # one letter may become several
    return [Word(word, places[start], places[end - 1] + 1) for word, start, end in found]
