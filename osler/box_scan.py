"""Find groups of numbers in a model's text that are written like boxes, without knowing their unit.

`scan` reads every notation that `osler.box_formats` writes, and their usual damages: missing closing tag, missing
braces, several boxes in one tag. It never raises. Every pattern here either excludes its own opening character or is
applied to a bounded window, so the time is linear in the length of the text whatever a model emits.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

MAX_LABEL = 200

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:nan|inf|infinity)", re.IGNORECASE)
_CANDIDATE = re.compile(
    r"(?P<tag><box>|<\|box_start\|>)(?P<tagged>[^<]*)(?P<tag_end></box>|<\|box_end\|>)?"
    r"|\{?(?P<angles>(?:<\s?[-+.0-9niNI][^<>]*>[\s,]{0,2})+)\}?"
    r"|\[(?P<square>[^\[\]]*)(?P<square_end>\]|\Z)"
    r"|(?P<parens>(?:\([^()]*\)[\s,;]{0,3})+)"
    r'|\{(?P<braces>[^{}\[\]"<]*)\}'
    r'|["\']bbox(?:_2d)?["\']\s{0,8}:\s{0,8}(?P<no_list>[^\s\[][^,}]{0,40})'
)
_KEY_BEFORE = re.compile(r'["\'](bbox_2d|bbox|box|box_2d)["\']\s{0,8}:\s{0,8}\[?\s{0,8}$')
_LABEL_BEFORE = re.compile(
    r"(?:<ref>([^<]*)</ref>|<\|object_ref_start\|>([^<]*)<\|object_ref_end\|>|<p>([^<]*)</p>)\s*$"
)
_BETWEEN_BOXES = re.compile(r"(?:[\s,;]|and|<delim>)*")


class Fragment(NamedTuple):
    """A piece of text that is written like a box.

    Args:
        tokens: its four numbers as they stand in the text, or () when it has a problem.
        label: what the text says the box holds, if it does.
        text: the piece itself.
        start: its offset in the text.
        problem: why it is no box, or None.
    """

    tokens: tuple[str, ...]
    label: str | None
    text: str
    start: int
    problem: str | None = None


def scan(text: str) -> list[Fragment]:
    """All box-like fragments of a text, in order, broken ones with their problem."""
    fragments: list[Fragment] = []
    label_end, label = -1, None
    for match in _CANDIDATE.finditer(text):
        groups, problem = _groups(text, match)
        if not groups and problem is None:
            continue
        found = _label(text, match)
        if found is None and label is not None and _BETWEEN_BOXES.fullmatch(text, label_end, match.start()):
            found = label  # one label, several boxes: <ref>nodules</ref><box>..</box><box>..</box>
        label, label_end = found, match.end()
        if problem is not None:
            fragments.append(Fragment((), found, match.group(), match.start(), problem))
        fragments.extend(Fragment(group, found, match.group(), match.start()) for group in groups)
    return fragments or _bare(text)


def _groups(text: str, match: re.Match[str]) -> tuple[list[tuple[str, ...]], str | None]:
    """Groups of four number tokens in one candidate, and its problem; neither when it is ordinary prose."""
    if match["no_list"] is not None:
        return [], "no list of numbers after the key"
    content = next(
        match[name] for name in ("tagged", "angles", "square", "parens", "braces") if match[name] is not None
    )
    key = _KEY_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
    explicit = match["tag"] is not None or key is not None
    if match["tag"] is not None and match["tag_end"] is None:
        content = _leading_numbers(content)
    tokens = [token for token in re.split(r"[\s,;()<>\[\]]+", content) if token]
    numeric = [token for token in tokens if _NUMBER.fullmatch(token)]
    if not explicit and len(re.findall(r"[0-9]+|\bnan\b|\binf", content, re.IGNORECASE)) < 3:
        return [], None  # (see figure 2), [1], [12, 13]
    if key is not None and key[1] == "box_2d":
        return [], "key box_2d means y before x; this format has x first"
    if len(numeric) < len(tokens):
        pure_prose = match["parens"] is not None and not explicit
        return [], None if pure_prose else "not only numbers between its marks"
    if match["square"] is not None and match["square_end"] == "":
        return [], "cut off before its end"
    if len(numeric) % 4 or (match["tag"] is not None and not numeric):
        return [], f"{len(numeric)} numbers, want 4"
    return [tuple(numeric[i : i + 4]) for i in range(0, len(numeric), 4)], None


def _leading_numbers(content: str) -> str:
    """What of an unclosed tag's content still belongs to it: everything before the first letter that begins prose."""
    for word in re.finditer(r"[^\W\d]+", content):
        if word.group().lower() not in ("nan", "inf", "infinity", "e"):
            return content[: word.start()].rstrip(". ")
    return content.rstrip(". \n")


def _label(text: str, match: re.Match[str]) -> str | None:
    """Label in tags right before the box, or under "label" in the JSON object around it."""
    before = text[max(0, match.start() - MAX_LABEL - 60) : match.start()]
    tagged = _LABEL_BEFORE.search(before)
    if tagged is not None:
        return next(group for group in tagged.groups() if group is not None).strip()[:MAX_LABEL] or None
    if match["square"] is None or "{" not in before:
        return None
    opening = len(before)
    for _ in range(3):  # a label may itself hold a brace
        opening = before.rfind("{", 0, opening)
        if opening < 0:
            return None
        start = match.start() - len(before) + opening
        try:
            value, _end = json.JSONDecoder().raw_decode(text[start : start + 1000])
        except (ValueError, RecursionError):
            continue
        label = value.get("label") if isinstance(value, dict) else None
        return label.strip()[:MAX_LABEL] or None if isinstance(label, str) else None
    return None


def _bare(text: str) -> list[Fragment]:
    """Runs of four or more numbers without any mark: a box only when the text is nothing else."""
    run: list[re.Match[str]] = []
    runs: list[list[re.Match[str]]] = []
    words = list(re.finditer(r"[^\s,;]+", text))
    for word in words:
        if _NUMBER.fullmatch(word.group().rstrip(".")):
            run.append(word)
        else:
            runs.append(run)
            run = []
    runs.append(run)
    fragments = []
    for run in runs:
        if len(run) < 4:
            continue
        start, end = run[0].start(), run[-1].end()
        tokens = tuple(word.group().rstrip(".") for word in run)
        if len(tokens) == len(words) == 4:
            fragments.append(Fragment(tokens, None, text[start:end], start))
        else:
            reason = "bare numbers in running text; want brackets or tags around them"
            fragments.append(Fragment((), None, text[start:end], start, reason))
    return fragments
