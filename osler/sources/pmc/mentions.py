"""What the text says of each figure: the sentences that mention it, and those around them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from osler.record_mentions import Mention
from osler.sources.pmc.citations import MAX_RANGE, figures_named
from osler.sources.pmc.jats import Figure, Paragraph
from osler.sources.pmc.panels import letters
from osler.sources.pmc.sentences import sentence_spans

_DASH = re.compile(r"\s*(?:[-‐‑–—−]|to|through)\s*$")
_LINK_PANELS = re.compile(r"\d\s*\(?([A-Za-z](?:\s*[,–-]\s*[A-Za-z])*)\)?\s*$")

MAX_MENTIONS, MAX_CHARACTERS = 200, 5000  # for one figure, and for one text: a stranger's file may have millions


def mentions_of(
    figures: Sequence[Figure], paragraphs: Sequence[Paragraph], *, around: int = 1
) -> dict[str, list[Mention]]:
    """Mentions of each figure, by its id, in the text's order; each sentence once for a figure, at most 200.

    A figure is named by a link to it, by its number in words such as "Figs 2–4" or "1A, C", whether linked or not, or
    by standing between the two linked ends of a range. Where a link and the printed number disagree, the link counts.

    Args:
        figures: of the article.
        paragraphs: of the article.
        around: sentences to keep before and after.
    """
    order = {figure.id: place for place, figure in enumerate(figures)}
    by_number: dict[str, str] = {}
    for figure in figures:
        if figure.number:
            by_number.setdefault(figure.number, figure.id)
    found: dict[str, list[Mention]] = {figure.id: [] for figure in figures}
    for paragraph in paragraphs:
        text = paragraph.flat.text
        named_here = list(_named(paragraph, figures, order, by_number))
        spans = sentence_spans(text) if named_here else []
        starts = [start for start, _ in spans]
        seen: dict[tuple[int, str], list[str]] = {}
        whole: set[tuple[int, str]] = set()
        for place, id, panels in named_here:
            sentence = max(0, bisect_right(starts, place) - 1)
            known = seen.setdefault((sentence, id), [])
            known.extend(panel for panel in panels if panel not in known)
            if not panels:
                whole.add((sentence, id))
        for (sentence, id), panels in sorted(seen.items(), key=lambda item: (item[0][0], order[item[0][1]])):
            start, end = spans[sentence]
            first, last = spans[max(0, sentence - around)], spans[min(len(spans) - 1, sentence + around)]
            named = () if (sentence, id) in whole else tuple(panels)
            before, after = (text[first[0] : start], text[end : last[1]]) if around else ("", "")
            if len(found[id]) < MAX_MENTIONS:
                told = text[start:end][:MAX_CHARACTERS]
                before, after = before.strip()[-MAX_CHARACTERS:], after.strip()[:MAX_CHARACTERS]
                found[id].append(Mention(told, before, after, named, paragraph.section))
    return found


def _named(
    paragraph: Paragraph, figures: Sequence[Figure], order: dict[str, int], by_number: dict[str, str]
) -> Iterator[tuple[int, str, Sequence[str]]]:
    """(place, figure id, panels) of everything that names a figure."""
    text, links = paragraph.flat
    starts, ends = [link.start for link in links], [link.end for link in links]
    used: set[int] = set()
    for name in figures_named(text):
        over = range(bisect_right(ends, name.start), bisect_left(starts, name.end))
        linked = [id for n in over for id in links[n].ids if id in order]
        numbers = {figures[order[id]].number for id in linked}
        if name.number in by_number and (not linked or name.number in numbers or len(over) > 1):
            used.update(n for n in over if set(links[n].ids) <= {by_number[name.number]})
            yield name.start, by_number[name.number], name.panels
        elif linked:
            # the printed number is not the label's: the link is the publisher's word
            used.update(over)
            for id in linked:
                yield name.start, id, name.panels
        # a range's inner numbers have their place at its first number, so that they fall into the same sentence
    for n, link in enumerate(links):
        ids = [id for id in link.ids if id in order]
        if n not in used:
            found = _LINK_PANELS.search(text[max(link.start, link.end - 40) : link.end])
            for id in ids:
                yield link.start, id, letters(found[1]) if found else ()
        if n and ids and (previous := [id for id in links[n - 1].ids if id in order]):
            between = text[links[n - 1].end : link.start]
            if _DASH.fullmatch(between):
                first, last = order[previous[-1]], order[ids[0]]
                if first < last <= first + MAX_RANGE:
                    for figure in figures[first + 1 : last]:
                        yield links[n - 1].start, figure.id, ()
