"""What the protocols for reports and captions share: a text that is a refusal scores 0 whatever words it shares."""

from __future__ import annotations

import re

from osler.evaluation.protocols.base import Score
from osler.evaluation.protocols.decisions import refusal_at

_OF_ITSELF = re.compile(r"\b(?:i|i['’]m|we|my|me|sorry|as an? (?:ai|language model))\b")
_ENDS = re.compile(r"[.!?\n]")
_MORE_WORDS = 25


def refuses(text: str) -> bool:
    """Whether a whole text declines, unlike a report that says of one thing that it cannot be assessed.

    It does when it declines in its first sentence, of itself ("I cannot", "Sorry") or as the first thing said
    ("Unable to ..."), and says little after.
    """
    head = text[:600].lstrip()
    at = refusal_at(head)
    if at is None or _ENDS.search(head[:at].rstrip(" .!?\n")):
        return False
    end = _ENDS.search(head, at)
    sentence = head[: end.end() if end else len(head)].casefold()
    if at > 12 and not _OF_ITSELF.search(sentence):
        return False
    return len(text[len(sentence) : len(sentence) + 2000].split()) <= _MORE_WORDS


def refused() -> Score:
    """Score of a refusal."""
    return Score(value=0.0, parsed=False, refusal=True)
