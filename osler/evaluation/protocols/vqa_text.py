"""Text normalisation of visual question answering, in two named versions.

`normalise` follows the published description (see `osler.vqa_words`). `normalise_released` behaves like the code that
LLaVA-Med released, which differs from the description in four ways, each marked below; only the `llava-med-*`
protocols use it.
"""

from __future__ import annotations

import re
from collections import Counter

from osler.vqa_words import (
    ARTICLES,
    CONTRACTIONS,
    NUMBER_WORDS,
    PERIOD_BEFORE_NON_DIGIT,
    PUNCTUATION,
    normal_word,
    normal_words,
)

__all__ = ["ARTICLES", "CONTRACTIONS", "NUMBER_WORDS", "PUNCTUATION", "normalise", "normalise_released", "word_counts"]

_COMMA_IN_NUMBER = re.compile(r"(?<=\d),(?=\d)")


def normalise(text: str) -> str:
    """Normalise as the published description says.

    An answer that would vanish (the option letter "A" is an article) is kept as it is, in lower case, so that two
    different answers never both become the empty string.

    Args:
        text: an answer or a reference.

    Returns:
        Lower-case words joined by single spaces; applying the function again changes nothing.
    """
    return " ".join(word.text for word in normal_words(text))


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
    cleaned = PERIOD_BEFORE_NON_DIGIT.sub("", cleaned, count=32)
    # Difference 4: an answer made of articles alone becomes empty.
    return " ".join(word for word in map(normal_word, cleaned.split()) if word is not None)


def word_counts(normalised: str) -> Counter[str]:
    """Multiset of the words of a normalised text."""
    return Counter(normalised.split())
