"""JATS (ANSI/NISO Z39.96): identifiers, licence, figures and paragraphs of one article.

Replies and reviewers' reports that travel in the file (`sub-article`, `response`) and supplements are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from osler.errors import RecordError
from osler.record_mentions import Panel
from osler.sources.pmc.article_xml import attribute, parse_xml
from osler.sources.pmc.licences import code_of
from osler.sources.pmc.panels import panels_of
from osler.sources.pmc.texts import Flat, flatten, plain

_OUTSIDE = frozenset(
    ["sub-article", "response", "ref-list", "supplementary-material", "media", "caption", "table", "table-wrap-foot"]
)
# "Scheme 1", "Figure S1" and "Figure 1—figure supplement 2" are not figures 1 and 2
_LABEL_NUMBER = re.compile(r"(?:fig(?:ure)?s?\b\.?\s*)?(\d{1,3}(?:\.\d{1,2})?)\s*[.:|]?", re.IGNORECASE)
_PART = re.compile(r"\(?([A-Za-z])[).]?")
_IN_CAPTIONS = frozenset(["fig", "fig-group", "table-wrap", "table", "graphic", "media"])  # left out; lists are not
_BORROWED = re.compile(
    r"\b(?:reproduced|reprinted|adapted|used|modified|taken)\s+with\s+(?:\w+\s+){0,2}permission", re.I
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Args:
        id: in the article; of the first picture where the figure has none.
        group: id of the group that it belongs to, or "".
        label: as printed, "Figure 2"; "Figure 2A" for part A of a group.
        number: of the label, "2", or of its group's; empty where it is no plain number ("S1").
        part: letter of a part of a group.
        caption: title and text, with those of the group the figure belongs to before them; without the label.
        graphics: names of its pictures as the article refers to them, often without suffix; one of each choice.
        panels: lettered parts.
        rights: licence code or words of a statement of its own; empty when it falls under the article's.
        abstract: whether it is a graphical abstract.
    """

    id: str
    group: str
    label: str
    number: str
    part: str
    caption: str
    graphics: tuple[str, ...]
    panels: tuple[Panel, ...]
    rights: str
    abstract: bool


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph outside captions, and the title of the section it stands in."""

    section: str
    flat: Flat


@dataclass(frozen=True, slots=True)
class Article:
    """What is taken from one article; texts are empty where it does not state them.

    Args:
        pmcid: "PMC123".
        published: earliest date of publication: "2021", "2021-05" or "2021-05-17".
        licence: code such as "CC BY".
        language: two letters, lower case.
        figures: in the article's order.
        paragraphs: those that may speak of a figure.
    """

    pmcid: str
    pmid: str
    doi: str
    title: str
    journal: str
    published: str
    licence: str
    licence_text: str
    language: str
    kind: str
    abstract: str
    keywords: tuple[str, ...]
    figures: tuple[Figure, ...]
    paragraphs: tuple[Paragraph, ...]


def parse_article(data: bytes) -> Article:
    """Read an article.

    Args:
        data: the XML file.

    Raises:
        RecordError: when it is no safe, well-formed XML or its root is no `<article>`; carries the line where known.
    """
    root = parse_xml(data)
    if root.tag != "article":
        if root.tag == "pmc-articleset" and len(root) == 1 and root[0].tag == "article":
            root = root[0]
        else:
            raise RecordError(f"holds a <{root.tag[:40]}>, not an <article>", line=1)
    front = root.find("front")
    meta = front.find("article-meta") if front is not None else None
    if front is None or meta is None:
        raise RecordError("has no <front><article-meta>: identifiers and licence are not stated", line=1)
    ids = {item.get("pub-id-type", ""): plain(item) for item in meta.findall("article-id")}
    number = ids.get("pmcid") or ids.get("pmc") or ""
    licence = meta.find("permissions/license")
    figures, paragraphs = _body(root)
    return Article(
        pmcid=f"PMC{number.upper().removeprefix('PMC')}" if number else "",
        pmid=ids.get("pmid", ""),
        doi=ids.get("doi", ""),
        title=plain(meta.find("title-group/article-title")),
        journal=plain(front.find("journal-meta/journal-title-group/journal-title")),
        published=_published(meta),
        licence=_licence(licence),
        licence_text=_licence_text(licence),
        language=attribute(root, "lang").lower()[:2],
        kind=root.get("article-type", ""),
        abstract=" ".join(plain_all(item) for item in meta.findall("abstract") if not item.get("abstract-type")),
        keywords=tuple(plain(word) for word in meta.iterfind("kwd-group/kwd")),
        figures=figures,
        paragraphs=paragraphs,
    )


def plain_all(element: Element | None) -> str:
    """Text of an element with its paragraphs; empty for None."""
    if element is None:
        return ""
    if element.find(".//p") is None:
        return plain(element)
    return " ".join(text for p in element.iter("p") if (text := plain(p)))


def _published(meta: Element) -> str:
    dates = []
    for date in meta.findall("pub-date"):
        parts = []
        for name, width in (("year", 4), ("month", 2), ("day", 2)):
            text = plain(date.find(name))
            if not text.isdigit() or len(text) > width:
                break
            parts.append(text.zfill(width))
        if parts:
            dates.append("-".join(parts))
    return min(dates, default="")


def _licence(element: Element | None) -> str:
    """The code of a `<license>`: by its address, by one in it, by its words."""
    if element is None:
        return ""
    addresses = [attribute(element, "href")]
    addresses += [attribute(node, "href") or (node.text or "") for node in element.iter() if node is not element]
    for address in addresses:
        if code := code_of(address):
            return code
    return code_of(" ".join(element.itertext()))


def _licence_text(element: Element | None) -> str:
    if element is None:
        return ""
    address = attribute(element, "href")
    return " ".join([*([address] if address else []), *(plain(child) for child in element)])[:500]


def _body(root: Element) -> tuple[tuple[Figure, ...], tuple[Paragraph, ...]]:
    figures: list[Figure] = []
    paragraphs: list[Paragraph] = []
    # (element, title of its section, in an abstract); a stack, not recursion, since the depth is a stranger's
    stack: list[tuple[Element, str, bool]] = [(root, "", False)]
    while stack:
        node, section, abstract = stack.pop()
        tag = node.tag
        if tag in _OUTSIDE:
            continue
        if tag == "fig":
            figures.append(_figure(node, abstract))
            continue  # captions are no mentions
        if tag == "fig-group":
            figures.extend(_group(node, abstract))
            continue
        if tag == "p" and _may_mention(node):
            paragraphs.append(Paragraph(section, flatten(node)))
        elif tag == "sec":
            section = plain(node.find("title")) or section
        elif tag == "abstract":
            abstract = True
        for child in reversed(node):
            stack.append((child, section, abstract))
    return tuple(figures), tuple(paragraphs)


def _may_mention(paragraph: Element) -> bool:
    """Cheap: whether there is any use in reading the paragraph closely."""
    text = "".join(paragraph.itertext())
    if "Fig" in text or "fig" in text or "FIG" in text:
        return True
    return any(link.get("ref-type") == "fig" for link in paragraph.iter("xref"))


def _group(group: Element, abstract: bool) -> Iterator[Figure]:
    """Figures of a group, each with the group's caption before its own; a group without figures is one itself."""
    members = group.findall("fig")
    if not members and group.find("graphic") is not None:
        yield _figure(group, abstract)
    for member in members:
        yield _figure(member, abstract, group)


def _figure(node: Element, abstract: bool, group: Element | None = None) -> Figure:
    graphics = tuple(_graphics(node))
    label, group_label = plain(node.find("label")), "" if group is None else plain(group.find("label"))
    number, part = _LABEL_NUMBER.fullmatch(label), _PART.fullmatch(label) if group_label else None
    if not label or part is not None:  # "A" of "Figure 2"
        number = _LABEL_NUMBER.fullmatch(group_label)
        label = group_label.rstrip(".:| ") + part[1] if part else group_label
    caption = _sentence_join([_caption(group), _caption(node)])
    panels = panels_of(caption) or panels_of(_caption(node, bracket_bold=True))
    return Figure(
        id=node.get("id") or (graphics[0] if graphics else ""),
        group="" if group is None else group.get("id", ""),
        label=label,
        number=number[1] if number else "",
        part=part[1] if part else "",
        caption=caption,
        graphics=graphics,
        panels=panels,
        rights=_rights(node, caption),
        abstract=abstract,
    )


def _caption(node: Element | None, *, bracket_bold: bool = False) -> str:
    caption = None if node is None else node.find("caption")
    if caption is None:
        return ""
    texts = [child for child in caption if child.tag in ("title", "p")]
    return _sentence_join([flatten(text, blocks=_IN_CAPTIONS, bracket_bold=bracket_bold).text for text in texts])


def _sentence_join(parts: list[str]) -> str:
    parts = [part for part in parts if part]
    ended = [part if part[-1] in ".!?:;" else part + "." for part in parts[:-1]]
    return " ".join([*ended, *parts[-1:]])


def _graphics(node: Element) -> Iterator[str]:
    """Picture names in order. `<alternatives>` hold one picture in several forms: the first counts."""
    for child in node:
        if child.tag == "graphic":
            name = attribute(child, "href").strip()
        elif child.tag == "alternatives":
            graphic = child.find("graphic")
            name = "" if graphic is None else attribute(graphic, "href").strip()
        elif child.tag == "p":  # some journals wrap the picture in a paragraph
            yield from _graphics(child)
            continue
        else:
            continue
        if name:
            yield name


def _rights(node: Element, caption: str) -> str:
    own = node.find("permissions")
    if own is not None:
        licence = own.find("license")
        return _licence(licence) or plain_all(own)[:200] or plain(own.find("copyright-statement"))[:200] or "its own"
    borrowed = _BORROWED.search(caption) if "permission" in caption else None
    return borrowed[0] if borrowed else ""
