"""Labels of a report: its mentions of findings, each with a status, and one label for each finding."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from osler.evaluation.findings import cues
from osler.evaluation.findings.vocabulary import NO_FINDING, NORMAL, NOTHING_WRONG, PATTERNS, SUPPORT_DEVICES


class Status(StrEnum):
    """What a text says about a finding that it mentions."""

    POSITIVE = "positive"
    UNCERTAIN = "uncertain"
    NEGATIVE = "negative"


_ORDER = (Status.POSITIVE, Status.UNCERTAIN, Status.NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One place where a text names a finding.

    Args:
        finding: name in `FINDINGS`.
        status: of this mention.
        sentence: that it stands in, lower case, with single spaces.
        start: of the mention within that sentence.
        end: of the mention.
    """

    finding: str
    status: Status
    sentence: str
    start: int
    end: int


# Why the study was made and what was known before is no finding of it.
_HEADING = re.compile(
    r"(?:^|(?<=[\n.]))[ \t]{0,20}"
    r"([A-Z][A-Za-z]{0,24}(?:[ /,&-]{1,3}[A-Z][A-Za-z]{0,24}){0,5}|[A-Z][A-Z /,&()-]{2,60}?) ?:",
)
_ASIDE = re.compile(
    r"indication|history|technique|comparison|examination|exam|reason|clinical|procedure|type of|study|views?\b"
)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=\D)|\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)]))")
_SPACES = re.compile(r"\s+")
MAX_TEXT = 20_000
"""Characters that are read; a chest report has at most a few thousand, and a megabyte would take ten seconds."""
# halves of surrogate pairs (bytes that were no UTF-8), control characters, the replacement character
_NOISE = re.compile("[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f\ufffd]")
_TAGS = re.compile(r"<[^<>]{0,200}>|[*_#`|]+")


@cache
def _patterns() -> tuple[tuple[str, Status | None, re.Pattern[str]], ...]:
    """Finding, fixed status (None: by cues), pattern."""
    found: list[tuple[str, Status | None, re.Pattern[str]]] = [
        (name, Status.NEGATIVE, re.compile("|".join(forms))) for name, forms in NORMAL.items()
    ]
    found += [(name, None, re.compile("|".join(forms))) for name, forms in PATTERNS.items()]
    found.append((NO_FINDING, Status.POSITIVE, re.compile("|".join(NOTHING_WRONG))))
    return tuple(found)


def findings_text(text: str) -> str:
    """A report without the sections that say why and how the study was made; other texts as they are."""
    kept, position = [], 0
    for heading in _HEADING.finditer(text):
        if heading.start() < position or not _ASIDE.search(heading.group(1).casefold()):
            continue
        kept.append(text[position : heading.start()])
        # such a section is one paragraph; what follows it without a heading of its own is read
        following, blank = _HEADING.search(text, heading.end()), _BLANK_LINE.search(text, heading.end() + 3)
        position = min(found.start() if found else len(text) for found in (following, blank))
    return "\n\n".join([*kept, text[position:]])


def sentences(text: str) -> list[str]:
    """Sentences in lower case with single spaces, without markup."""
    plain = _TAGS.sub(" ", _NOISE.sub(" ", text))
    return [stripped for part in _SENTENCE.split(plain) if (stripped := _SPACES.sub(" ", part).strip().casefold())]


def mentions(text: str) -> list[Mention]:
    """All mentions of findings in a text, sentence by sentence.

    Args:
        text: report, or an answer about a chest radiograph; its first 20,000 characters are read.
    """
    found = []
    for sentence in sentences(findings_text(text[:MAX_TEXT])):
        for finding, fixed, pattern in _patterns():
            for match in pattern.finditer(sentence):
                start, end = match.span()
                found.append(
                    Mention(
                        finding=finding,
                        status=fixed or _status(sentence, start, end),
                        sentence=sentence,
                        start=start,
                        end=end,
                    )
                )
    return found


def _status(sentence: str, start: int, end: int) -> Status:
    before, after = sentence[max(0, start - cues.BEFORE) : start], sentence[end : end + cues.AFTER]
    inside = sentence[start:end]
    if cues.denied(before, after) or cues.denied(inside, ""):
        return Status.NEGATIVE
    return Status.UNCERTAIN if cues.left_open(before, after) else Status.POSITIVE


def label(text: str) -> dict[str, Status]:
    """One status for every finding that a text mentions.

    Over its mentions a finding is positive if one is, else uncertain if one is, else negative. "No Finding" is positive
    when the text says something and no finding but a support device is positive or uncertain.

    Args:
        text: report, or an answer about a chest radiograph.

    Returns:
        Finding -> status, in the order of `FINDINGS`; findings that are not mentioned are left out, so that an empty
        result means that nothing was understood.
    """
    seen: dict[str, set[Status]] = {}
    for mention in mentions(text):
        seen.setdefault(mention.finding, set()).add(mention.status)
    labels = {name: next(status for status in _ORDER if status in seen[name]) for name in PATTERNS if name in seen}
    shown = any(status is not Status.NEGATIVE for name, status in labels.items() if name != SUPPORT_DEVICES)
    if seen and not shown and (NO_FINDING in seen or set(labels) - {SUPPORT_DEVICES}):
        return {NO_FINDING: Status.POSITIVE, **labels}
    return labels


def stated(labels: Mapping[str, Status], *, uncertain: bool = True) -> frozenset[str]:
    """Findings that a text states, "No Finding" left out.

    Args:
        labels: of the text, as `label` gives them.
        uncertain: count findings called possible as stated.
    """
    wanted = {Status.POSITIVE, Status.UNCERTAIN} if uncertain else {Status.POSITIVE}
    return frozenset(name for name, status in labels.items() if status in wanted and name != NO_FINDING)
