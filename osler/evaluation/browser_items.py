"""`BrowserSection`: the items of a report's error browser, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_VALUES = 40
OUTCOMES = ("right", "partly right", "wrong", "refused", "not parsed", "no answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserItem:
    """One item of the browser.

    Args:
        id: of the record.
        question: as asked.
        reference: gold answer.
        answer: of the model; None where there is none.
        outcomes: protocol -> one of `OUTCOMES`.
        values: protocol -> score.
        facts: tag -> value, to filter by.
        picture: number of the picture in the section, or None.
        problem: why there is no picture.
        others: condition -> answer.
        confidence: in [0, 1], where known.
        more: "cut at the length limit" and the like.
    """

    id: str
    question: str
    reference: str
    answer: str | None
    outcomes: Mapping[str, str]
    values: Mapping[str, float]
    facts: Mapping[str, str]
    picture: int | None
    problem: str
    others: Mapping[str, str]
    confidence: float | None
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSection:
    """Items to look through.

    Args:
        title: heading.
        items: shown.
        pictures: `data:` addresses; each stands in the page once, however many items show it.
        protocols: to judge outcomes by.
        chosen: the protocol that outcomes are shown by at first.
        total: items there are.
        note: below.
    """

    title: str
    items: Sequence[BrowserItem]
    pictures: Sequence[str]
    protocols: Sequence[str]
    chosen: str
    total: int
    note: str = ""
    outcomes: Sequence[str] = OUTCOMES
    kind: str = field(default="browser", init=False)

    @property
    def filters(self) -> list[dict[str, Any]]:
        """Tags with two values or more (and not too many), with their counts."""
        counts: dict[str, Counter[str]] = {}
        for item in self.items:
            for name, value in item.facts.items():
                counts.setdefault(name, Counter())[value] += 1
        return [
            {"name": name, "options": sorted(found.items())}
            for name, found in counts.items()
            if 2 <= len(found) <= MAX_VALUES
        ]
