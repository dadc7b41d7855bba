"""Text normalisation of visual question answering, in two named versions.

The published description (VQA evaluation, visualqa.org, "Making all characters lowercase; removing periods except ...")
has these steps: lower case; periods go unless they are decimal points; number words become digits; articles go; missing
apostrophes of contractions are restored; other punctuation except apostrophe and colon becomes a space, and a comma
between digits goes without one.

`normalise` follows the description. `normalise_released` behaves like the code that LLaVA-Med released, which differs
from the description in four ways, each marked below; only the `llava-med-*` protocols use it.
"""

from __future__ import annotations

import re
from collections import Counter

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

_COMMA_IN_NUMBER = re.compile(r"(?<=\d),(?=\d)")
_PERIOD_BEFORE_NON_DIGIT = re.compile(r"\.(?!\d)")
_SPACES_FOR_PUNCTUATION = str.maketrans(PUNCTUATION, " " * len(PUNCTUATION))


def _words(text: str) -> list[str]:
    numbered = (NUMBER_WORDS.get(word, word) for word in text.split())
    return [CONTRACTIONS.get(word, word) for word in numbered if word not in ARTICLES]


def normalise(text: str) -> str:
    """Normalise as the published description says.

    An answer that would vanish (the option letter "A" is an article) is kept as it is, in lower case, so that two
    different answers never both become the empty string.

    Args:
        text: an answer or a reference.

    Returns:
        Lower-case words joined by single spaces; applying the function again changes nothing.
    """
    folded = text.casefold()
    plain = _COMMA_IN_NUMBER.sub("", folded).translate(_SPACES_FOR_PUNCTUATION)
    words = _words(_PERIOD_BEFORE_NON_DIGIT.sub(" ", plain))
    return " ".join(words) if words else " ".join(folded.split())


def normalise_released(text: str) -> str:
    """Normalise as the evaluation code that LLaVA-Med released does.

    Args:
        text: an answer or a reference.

    Returns:
        Words joined by single spaces; possibly the empty string.
    """
    lowered = text.lower()
    # Difference 1: one number with a comma anywhere deletes all punctuation, so that "12,000 left-sided" loses its
    # hyphen without a space. Difference 2: a mark that touches a space once is deleted everywhere, otherwise it becomes
    # a space.
    number_with_comma = _COMMA_IN_NUMBER.search(lowered) is not None
    cleaned = lowered
    for mark in PUNCTUATION:
        touches_space = f"{mark} " in lowered or f" {mark}" in lowered
        cleaned = cleaned.replace(mark, "" if touches_space or number_with_comma else " ")
    # Difference 3: periods are deleted, not replaced by a space, and only the first 32 of them.
    cleaned = _PERIOD_BEFORE_NON_DIGIT.sub("", cleaned, count=32)
    # Difference 4: an answer made of articles alone becomes empty.
    return " ".join(_words(cleaned))


def word_counts(normalised: str) -> Counter[str]:
    """Multiset of the words of a normalised text."""
    return Counter(normalised.split())
