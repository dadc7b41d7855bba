"""The yes-or-no decision of a text: its first decision word, unless a refusal comes before it."""

from __future__ import annotations

import re
from typing import Literal

Decision = Literal["yes", "no", "refusal", "unparsed"]

_YES = frozenset({"yes", "yeah", "yep"})
_WORD = re.compile(r"\b(yes|yeah|yep|no|nope)\b(?!-)")
# "no-one" and the like are excluded by the look-ahead; "not" is no decision: "not only the left lung" decides nothing.
_REFUSAL = re.compile(
    r"\b(?:(?:can ?not|can['’]?t|could not|couldn['’]?t|unable to|not able to|not possible to|impossible to)\s+"
    r"(?:be\s+|definitively\s+|reliably\s+|accurately\s+)*"
    r"(?:say|tell|determined?|answer(?:ed)?|assess(?:ed)?|see|view|provide|give|make|interpret|analy[sz]e|identify|"
    r"comment|help|assist|diagnose|evaluate|confirm|know)"
    r"|as an? (?:ai|language model)|sorry|i (?:do not|don['’]?t) know|not sure|unsure|"
    r"(?:decline|refuse) to|consult (?:a|your) (?:doctor|physician|radiologist|professional))\b"
)


def refusal_at(text: str) -> int | None:
    """Where a text begins to decline, as a position in `text.casefold()`; None when it does not."""
    refusal = _REFUSAL.search(text.casefold())
    return refusal.start() if refusal else None


def decide(text: str) -> Decision:
    """Decision that a text states.

    Whole words only, so that "normal", "note" and "abnormal" decide nothing. The first decision word counts: "Yes,
    there is no fracture" is "yes". A text that declines before any decision word is a "refusal"; a text without either
    is "unparsed". Known limit: "There is no abnormality" reads as "no" even where the question asks for normality.
    """
    folded = text.casefold()
    word, refusal = _WORD.search(folded), refusal_at(text)
    if refusal is not None and (word is None or refusal < word.start()):
        return "refusal"
    if word is None:
        return "unparsed"
    return "yes" if word.group() in _YES else "no"
