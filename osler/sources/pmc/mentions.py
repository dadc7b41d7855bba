"""What the text says of each figure: the sentences that mention it, and those around them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from osler.record_mentions import Mention
from osler.sources.pmc.citations import MAX_RANGE, Named, figures_named
from osler.sources.pmc.jats import Figure, Paragraph
from osler.sources.pmc.panels import letters
from osler.sources.pmc.sentences import sentence_spans
from osler.sources.pmc.texts import Link

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
    index = _Index(figures)
    found: dict[str, list[Mention]] = {figure.id: [] for figure in figures}
    for paragraph in paragraphs:
        text = paragraph.flat.text
        named_here = list(_named(paragraph, index))
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
        for (sentence, id), panels in sorted(seen.items(), key=lambda item: (item[0][0], index.place[item[0][1]])):
            start, end = spans[sentence]
            first, last = spans[max(0, sentence - around)], spans[min(len(spans) - 1, sentence + around)]
            named = () if (sentence, id) in whole else tuple(panels)
            before, after = (text[first[0] : start], text[end : last[1]]) if around else ("", "")
            if len(found[id]) < MAX_MENTIONS:
                told = text[start:end][:MAX_CHARACTERS]
                before, after = before.strip()[-MAX_CHARACTERS:], after.strip()[:MAX_CHARACTERS]
                found[id].append(Mention(told, before, after, named, paragraph.section))
    return found


class _Index:
    """Figures by what a text may call them: ids of figures and groups, numbers, places in the order."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self.figures = figures
        self.place: dict[str, int] = {}
        self.by_id: dict[str, list[Figure]] = {}
        self.by_number: dict[str, list[Figure]] = {}
        for figure in figures:
            if figure.id in self.place:
                continue  # a second figure of that id, which no link can mean
            self.place[figure.id] = len(self.place)
            self.by_id.setdefault(figure.id, []).append(figure)
            if figure.group:
                self.by_id.setdefault(figure.group, []).append(figure)
            if figure.number:
                same = self.by_number.setdefault(figure.number, [])
                # the first of a number counts, with the other members of its group
                if not same or (figure.group and figure.group == same[0].group):
                    same.append(figure)
        self.in_order = [self.by_id[id][0] for id in self.place]

    def linked(self, link: Link) -> list[Figure]:
        """Figures that a link leads to."""
        return [figure for id in link.ids for figure in self.by_id.get(id, ())]

    def numbered(self, name: Named) -> list[Figure]:
        """Figures of a number; of a group only the parts named, if any are."""
        figures = self.by_number.get(name.number, [])
        wanted = {panel.lower() for panel in name.panels}
        return [figure for figure in figures if figure.part.lower() in wanted] or figures


def _named(paragraph: Paragraph, index: _Index) -> Iterator[tuple[int, str, Sequence[str]]]:
    """(place, figure id, panels) of everything that names a figure."""
    text, links = paragraph.flat
    starts, ends = [link.start for link in links], [link.end for link in links]
    meant = [index.linked(link) for link in links]
    used: set[int] = set()
    # a range's inner numbers have their place at its first number, so that they fall into the same sentence
    for name in figures_named(text):
        over = range(bisect_right(ends, name.start), bisect_left(starts, name.end))
        linked = [figure for n in over for figure in meant[n]]
        numbered = index.numbered(name)
        if numbered and (not linked or len(over) > 1 or any(figure.number == name.number for figure in linked)):
            known = {figure.id for figure in index.by_number[name.number]}
            used.update(n for n in over if known.issuperset(figure.id for figure in meant[n]))
            linked = numbered
        else:  # the printed number is not the label's: the link is the publisher's word
            used.update(over)
        for figure in linked:
            yield name.start, figure.id, name.panels
    for n, link in enumerate(links):
        if n not in used:
            found = _LINK_PANELS.search(text[max(link.start, link.end - 40) : link.end])
            for figure in meant[n]:
                yield link.start, figure.id, letters(found[1]) if found else ()
        if n and meant[n] and meant[n - 1] and _DASH.fullmatch(text[links[n - 1].end : link.start]):
            first, last = index.place[meant[n - 1][-1].id], index.place[meant[n][0].id]
            if first < last <= first + MAX_RANGE:
                for figure in index.in_order[first + 1 : last]:
                    yield links[n - 1].start, figure.id, ()
