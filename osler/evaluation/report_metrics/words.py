"""Words of a text, as ROUGE-L, CIDEr and METEOR see them."""

from __future__ import annotations

import re
from collections import Counter

_WORD = re.compile(r"[^\W_]+")
LONGEST = 64
"""Characters that are kept of one word: stemmers take more than linear time on endless ones."""


def words(text: str) -> list[str]:
    """Runs of letters and digits in lower case: punctuation, white space and hyphens separate.

    For English the same as the tokenizer of Google's rouge-score; unlike that one it keeps letters beyond a-z.
    """
    return [word[:LONGEST] for word in _WORD.findall(text.casefold())]


def ngrams(sequence: list[str], size: int) -> Counter[tuple[str, ...]]:
    """Multiset of runs of `size` words."""
    return Counter(zip(*(sequence[start:] for start in range(size)), strict=False))
