"""Does a written response say what is known, and nothing that is not? Pure functions of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from osler.box_formats import BoxFormat, parse_boxes
from osler.records import IMAGE_PLACEHOLDER, Region

WORDS_FIRST, WORDS_MORE = 120, 60


def word_limit(regions: int) -> int:
    """Words that a response about so many regions may have: 120, and 60 for each further region."""
    return WORDS_FIRST + WORDS_MORE * max(0, regions - 1)


def problems(
    text: str,
    regions: Sequence[Region],
    codec: BoxFormat,
    *,
    synonyms: Mapping[str, Sequence[str]] | None = None,
    max_words: int | None = None,
) -> list[str]:
    """What is wrong with a response, one sentence each; empty when it passes.

    It must name each region's label or a synonym (whole words, any case), hold each region's box exactly as `codec`
    writes it and no other box, hold no further number, and keep to the limit of words.

    Args:
        text: the response.
        regions: what it is about.
        codec: format of the boxes.
        synonyms: label to other words for it.
        max_words: limit; by default `word_limit`.
    """
    found = []
    if not text.strip():
        return ["The text is empty."]
    if IMAGE_PLACEHOLDER in text:
        found.append(f"It holds {IMAGE_PLACEHOLDER}.")
    boxes = list(dict.fromkeys(codec.to_text(region.box) for region in regions))
    found += [f"The box {box} is not in it, exactly so." for box in boxes if box not in text]
    rest = text
    for box in sorted(boxes, key=len, reverse=True):
        rest = rest.replace(box, " ")
    if regions:
        width, height = regions[0].box.width, regions[0].box.height
        others = parse_boxes(rest, format=codec, width=width, height=height)
        if others.items or others.rejected:
            found.append("It holds a box that was not given, or one that is broken.")
    labels = list(dict.fromkeys(region.label for region in regions))
    for label in labels:
        names = [label, *(synonyms or {}).get(label, ())]
        if not any(_whole_words(name).search(rest) for name in names):
            found.append(f"It does not name {label!r}.")
    for label in labels:
        for name in [label, *(synonyms or {}).get(label, ())]:
            rest = _whole_words(name).sub(" ", rest)  # "covid-19" may hold digits
    extra = re.findall(r"\d[\d.,]*", rest)
    if extra:
        found.append(f"It holds numbers that were not given: {', '.join(extra[:5])}.")
    limit = word_limit(len(regions)) if max_words is None else max_words
    if (count := len(text.split())) > limit:
        found.append(f"It has {count} words; {limit} are allowed.")
    return found


def _whole_words(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
