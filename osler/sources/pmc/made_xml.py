"""JATS of a rehearsal article: front matter, sections that mention the figures in the ways articles do, figures.

The wording is our own and the findings are those of the captions; what articles differ in is varied by their number:
where figures stand, groups, several pictures a figure, pictures in several forms, ranges, panels, unlinked mentions.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

LICENCE_ADDRESS = {
    "CC0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC BY": "https://creativecommons.org/licenses/by/4.0/",
    "CC BY-NC": "https://creativecommons.org/licenses/by-nc/4.0/",
}
_DOCTYPE = (
    '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving and Interchange DTD v1.3 20210610//EN" '
    '"JATS-archivearticle1-3.dtd">'
)
_LEADS = (
    "Imaging at presentation is given in {ref}.",
    "On review, the findings were confirmed ({ref}).",
    "As {ref} shows, the course was unremarkable thereafter.",
    "The examination was repeated one week later; see {ref} for comparison.",
    "{ref} documents the state before treatment.",
)
_FILLERS = (
    "The patient gave written consent.",
    "Laboratory values were within normal limits.",
    "No complication occurred during follow-up, e.g. bleeding or infection.",
    "Dr. A. Example and colleagues read all images (approx. 2.5 h in total).",
    "Similar cases have been described before.",
)


class XmlFigure(NamedTuple):
    """A figure as the article has it: captions of its pictures, and their file names without suffix."""

    captions: tuple[str, ...]
    graphics: tuple[str, ...]


def article_xml(
    *,
    pmcid: str,
    index: int,
    title: str,
    licence: str,
    published: tuple[int, int, int],
    figures: list[XmlFigure],
) -> str:
    """The whole file.

    Args:
        pmcid: of the article.
        index: decides layout and wording.
        title: of the article.
        licence: a key of `LICENCE_ADDRESS`.
        published: year, month, day.
        figures: at least one.
    """
    blocks = [_figure(number, figure, index) for number, figure in enumerate(figures, start=1)]
    floats = index % 5 == 2
    if index % 5 == 1 and len(blocks) > 1:
        group = "<label>Figures</label><caption><p>Images of one patient.</p></caption>"
        blocks[:2] = [f'<fig-group id="g1">{group}{blocks[0]}{blocks[1]}</fig-group>']
    placed = "" if floats else "".join(blocks)
    year, month, day = published
    return f"""<?xml version="1.0" encoding="UTF-8"?>
{_DOCTYPE}
<article xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:ali="http://www.niso.org/schemas/ali/1.0/" \
xml:lang="en" article-type="{"case-report" if index % 2 else "research-article"}">
<front>
<journal-meta><journal-title-group><journal-title>Journal of Made Articles</journal-title></journal-title-group>\
</journal-meta>
<article-meta>
<article-id pub-id-type="pmcid">{pmcid}</article-id>
<article-id pub-id-type="doi">10.0000/made.{pmcid.lower()}</article-id>
<title-group><article-title>{escape(title)}</article-title></title-group>
<contrib-group><contrib contrib-type="author"><name><surname>Example</surname><given-names>A.</given-names></name>\
</contrib></contrib-group>
<pub-date pub-type="epub"><day>{day}</day><month>{month}</month><year>{year}</year></pub-date>
<permissions><license><ali:license_ref>{LICENCE_ADDRESS[licence]}</ali:license_ref>\
<license-p>This is a made article under {licence}.</license-p></license></permissions>
<abstract><p>We report {escape(_lower(figures[0].captions[0]))}</p></abstract>
<kwd-group><kwd>rehearsal</kwd><kwd>medical imaging</kwd></kwd-group>
</article-meta>
</front>
<body>
<sec><title>Introduction</title><p>{_FILLERS[index % 5]} {_FILLERS[(index + 1) % 5]}<sup><xref ref-type="bibr" \
rid="b1">1</xref></sup> Others agree [<xref ref-type="bibr" rid="b1">1</xref>].</p></sec>
<sec><title>Case presentation</title>{_mentions(index, figures)}{placed}</sec>
<sec><title>Discussion</title><p>{_summing_up(index, len(figures))} {_FILLERS[(index + 3) % 5]}</p></sec>
</body>
<back><ref-list><ref id="b1"><mixed-citation>Example A. A made reference. 2020.</mixed-citation></ref></ref-list></back>
{"<floats-group>" + "".join(blocks) + "</floats-group>" if floats else ""}
</article>
"""


def _figure(number: int, figure: XmlFigure, index: int) -> str:
    labels = "ABCDEFGH"
    if len(figure.captions) > 1:
        text = " ".join(f"({labels[n]}) {_ended(caption)}" for n, caption in enumerate(figure.captions))
    else:
        text = figure.captions[0]
    title = "<title>Made figure</title>" if index % 3 == 0 else ""
    graphics = "".join(_graphic(name, index) for name in figure.graphics)
    return (
        f'<fig id="fig{number}" position="float"><label>Figure {number}</label>'
        f"<caption>{title}<p>{escape(text)}</p></caption>{graphics}</fig>"
    )


def _graphic(name: str, index: int) -> str:
    plain = f"<graphic xlink:href={quoteattr(name)}/>"
    if index % 6 == 3:
        small = f"<graphic xlink:href={quoteattr(name + '-t')}/>"
        return f"<alternatives>{plain}{small}</alternatives>"
    return plain


def _ref(number: int, text: str) -> str:
    return f'<xref ref-type="fig" rid="fig{number}">{text}</xref>'


def _mentions(index: int, figures: list[XmlFigure]) -> str:
    paragraphs = []
    for number, figure in enumerate(figures, start=1):
        panels = len(figure.captions) > 1
        # one in four is not linked, as in many articles
        named = f"Fig. {number}{'A' if panels else ''}"
        ref = named if (index + number) % 4 == 0 else _ref(number, named)
        lead = _LEADS[(index + number) % len(_LEADS)].format(ref=ref)
        told = f"It shows {escape(_lower(_ended(figure.captions[0])))}"
        also = f" {_ref(number, f'Figure {number}A')}, B belong together." if panels else ""
        paragraphs.append(f"<p>{_FILLERS[(index + number) % 5]} {lead} {told}{also}</p>")
    return "".join(paragraphs)


def _summing_up(index: int, count: int) -> str:
    if count >= 3:
        ends = f"{_ref(1, '1')}–{_ref(count, str(count))}" if index % 2 else f"1–{count}"
        return f"Taken together, Figs {ends} tell the whole story."
    if count == 2:
        return f"Both images ({_ref(1, 'Figs 1')} and {_ref(2, '2')}) agree."
    return f"The finding is plain to see ({_ref(1, 'Figure 1')})."


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def _lower(text: str) -> str:
    """First letter small, unless the word is an abbreviation (CT, MRI)."""
    return text if re.match(r"[A-Z0-9]{2}|[A-Z]\b", text) else text[:1].lower() + text[1:]
