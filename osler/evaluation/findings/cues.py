"""Words that deny a finding or leave it open, and how far they reach (after NegEx, Chapman et al., J Biomed Inform
2001).

A cue before a mention reaches it unless something that ends its scope stands between them; a cue after it has to follow
closely. Only a window around the mention is looked at, so that time grows with the text and not with its square.
"""

from __future__ import annotations

import re

BEFORE = 260
"""Characters before a mention in which a cue may stand."""
AFTER = 90
"""Characters after it."""

_PSEUDO = (  # look like negations and are none; blanked before cues are looked for
    r"\bno (?:\w+ )?(?:change|interval change|increase|improvement|worsening|progression|decrease)\b(?: in| of| to)?",
    r"\bwithout (?:\w+ )?(?:change|improvement|increase)\b",
    r"\bnot (?:significantly |appreciably |substantially |much )?"
    r"(?:changed|improved|increased|decreased|cleared|only|resolved)\b",
    r"\bno (?:longer|doubt)\b(?! (?:seen|visible|present|visualized|identified|evident|apparent))",
)
_DENIES = (
    r"\bno\b",
    r"\bnot\b",
    r"\bwithout\b",
    r"\bnegative for\b",
    r"\b(?:free|clear) of\b",
    r"\babsence of\b",
    r"(?<!near )(?<!near-complete )(?<!partial )\bresolution of\b",
    r"(?<!nearly )(?<!partially )(?<!almost )(?<!not )\bresolved\b",
    r"\bneither\b",
    r"\bnor\b",
    r"\bdenies\b",
    r"\bno longer\b",
    r"\bremoval of\b",
    r"\bremoved\b",
    r"\b(?:sensitivity|ability) (?:to|for)\b",
    r"\bmistaken for\b",
)
_OPEN = (
    r"\bpossib(?:le|ly|ility)\b",
    r"\bprobabl[ey]\b",
    r"\blikely\b",
    r"\bmay\b",
    r"\bmight\b",
    r"\bcould\b",
    r"\bsuggest\w*\b",
    r"\bsuspicio\w+\b",
    r"\bsuspect\w*\b",
    r"\bconcern\w*\b",
    r"\bworrisome\b",
    r"\bquestion\w*\b",
    r"\?",
    r"\bvs\b",
    r"\bversus\b",
    r"\bpotential(?:ly)?\b",
    r"\bpresum\w+\b",
    r"\bequivocal\b",
    r"\bunclear\b",
    r"\bdifferential\b",
    r"\bconsider(?:ed|ation)?\b",
    r"\b(?:rule|ruling) out\b",
    r"\br/o\b",
    r"\b(?:evaluate|assess|eval|evaluation|assessment) for\b",
    r"\b(?:cannot|can ?not|can't|not|difficult to|hard to|impossible to) (?:be )?(?:\w+ )?(?:exclude|rule out)\w*\b",
    r"\bcorrelat\w+\b",
    r"\bif\b",
    r"\bwhether\b",
)
# what ends the reach of a cue towards what follows
_END = re.compile(
    r"\b(?:but|however|although|though|except|aside from|apart from|other than|besides|yet|while|whereas|which|"
    r"there (?:is|are|has|have)|secondary to|due to|because|with (?:persistent|stable|unchanged|mild|moderate|small|"
    r"associated|new|increased|bibasilar))\b|[;:]"
)
# a comma and the beginning of a new statement, unless a list goes on to its "or": "no focal consolidation, large
# effusion or pneumothorax"
_NEW_STATEMENT = re.compile(
    r", (?:and )?(?:there|with|unchanged|stable|persistent|small|mild|moderate|large|bilateral|bibasilar|new|"
    r"increas\w+|the|an?|minimal|status|could|may|might|probably|likely) "
)
_LIST_END = re.compile(r"\bn?or\b")
_PSEUDO_RE = re.compile("|".join(_PSEUDO))
_DENIES_RE = re.compile("|".join(_DENIES))
_OPEN_RE = re.compile("|".join(_OPEN))
_DENIED_AFTER = re.compile(
    r"^[\w ,/-]{0,40}?(?:\b(?:is|are|was|were|has|have|had|been|be)\b )?(?:"
    r"\b(?:not|no longer) (?:\w+ )?(?:seen|present|visuali[sz]ed|identified|evident|apparent|visible|detected|"
    r"appreciated|demonstrated|noted|found|observed)\b|"
    r"\babsent\b|"
    r"\b(?:has|have) (?:(?!nearly|partially|almost|not|partly|mostly)\w+ )?(?:resolved|cleared)\b|"
    r"\b(?:has|have) been removed\b|\bremoved\b|\bruled out\b|"
    r"\b(?:is|are|appears?|remains?|looks?) (?:\w+ )?(?:normal\b|within (?:normal limits|limits of normal)))"
)
_OPEN_AFTER = re.compile(
    r"^[\w ,/-]{0,50}?(?:\b(?:cannot|can ?not|not|never|difficult to|hard to) (?:be )?(?:\w+ )?"
    r"(?:exclude|ruled? out|assess|evaluat)\w*\b|"
    r"\b(?:is|are|seems?) (?:also )?(?:possible|suspected|considered|questioned|questionable|unlikely|less likely)\b|"
    r"\bversus\b|\bvs\b|\?)"
)
_NOT_DENIED = re.compile(r"\b(?:not|cannot|can ?not) (?:be )?(?:\w+ )?(?:exclude|rule out)\w*\b|\bnot excluded\b")


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _reaches(cue: re.Pattern[str], before: str, after: str) -> bool:
    """Whether a cue stands in `before` with nothing after it that ends its scope."""
    last = None
    for found in cue.finditer(before):
        last = found
    if last is None:
        return False
    tail = before[last.end() :]
    if _END.search(tail):
        return False
    statement = _NEW_STATEMENT.search(tail)
    return statement is None or _LIST_END.search(tail[statement.end() :] + after) is not None


def denied(before: str, after: str) -> bool:
    """Whether a mention is denied by what stands before it or after it in its sentence."""
    plain = _NOT_DENIED.sub(_blank, _PSEUDO_RE.sub(_blank, before))
    if _reaches(_DENIES_RE, plain, after):
        return True
    return _DENIED_AFTER.search(_NOT_DENIED.sub(_blank, after)) is not None


def left_open(before: str, after: str) -> bool:
    """Whether a mention is called possible, or its absence not certain."""
    return _reaches(_OPEN_RE, before, after) or _OPEN_AFTER.search(after) is not None
