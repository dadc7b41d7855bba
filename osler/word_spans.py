"""Where a text names a class, and which of its tokens do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

Span = tuple[int, int]


def class_names(categories: Sequence[str], synonyms: Sequence[str] = ()) -> tuple[str, ...]:
    """Names to look for, without repetition: categories as they stand, then synonyms."""
    return tuple(dict.fromkeys(name for name in (*categories, *synonyms) if name.strip()))


def find_names(text: str, names: Sequence[str]) -> list[Span]:
    """Character spans of whole-word occurrences of any name, whatever the case; longer names win where they overlap.

    Args:
        text: to look through.
        names: class names; white space in them stands for any white space.
    """
    if not names:
        return []
    forms = (r"\s+".join(map(re.escape, name.split())) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", re.IGNORECASE)
    return [match.span() for match in pattern.finditer(text)]


def token_spans(ids: Sequence[int], decode: Callable[[Sequence[int]], str]) -> list[Span]:
    """Characters that each token adds to the decoded text.

    Decoding a growing prefix works with every tokenizer: byte-level ones, whose single tokens are no text, and those
    whose decoder joins words.

    Args:
        ids: T token ids.
        decode: of the tokenizer, without special tokens.
    """
    ends = [len(decode(ids[:count])) for count in range(len(ids) + 1)]
    return [(start, max(start, end)) for start, end in pairwise(ends)]


def tokens_of(spans: Sequence[Span], tokens: Sequence[Span]) -> list[int]:
    """Indices of the tokens that share a character with any of some spans."""
    return [
        index for index, (start, end) in enumerate(tokens) if any(start < stop and end > begin for begin, stop in spans)
    ]
