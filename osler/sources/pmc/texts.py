"""Text of JATS elements: one line, links to figures kept as places, what is no running text left out."""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element

from osler.sources.pmc.article_xml import attribute

# inside a paragraph these are things of their own, or paragraphs of their own
BLOCKS = frozenset(
    re.findall(
        r"\S+",
        "fig fig-group table-wrap table-wrap-group supplementary-material media fn disp-formula "
        "disp-formula-group list def-list disp-quote boxed-text verse-group speech statement "
        "chem-struct-wrap array table p",
    )
)
SILENT = frozenset(["tex-math", "annotation", "annotation-xml", "object-id", "label-alternatives"])
_SPACES = re.compile(r"\s+")
_PANEL = re.compile(r"\s*([A-Za-z](?:\s*[,–-]\s*[A-Za-z])*)\s*[.,:]?\s*")


class Link(NamedTuple):
    """A linked piece of a text: its place and the ids that it links to."""

    start: int
    end: int
    ids: tuple[str, ...]


class Flat(NamedTuple):
    """Text in one line, and the links to figures in it."""

    text: str
    links: tuple[Link, ...]


def flatten(element: Element, *, blocks: frozenset[str] = BLOCKS, bracket_bold: bool = False) -> Flat:
    """Text of an element in one line; white space collapsed, raised reference numbers left out.

    Args:
        element: for instance a paragraph.
        blocks: names of elements to leave out.
        bracket_bold: write bold letters as "(A)": many journals mark panels so.
    """
    pieces: list[tuple[str, tuple[str, ...]]] = []
    # depth by stack, not by recursion: a stranger's file decides how deep it is
    stack: list[tuple[Element | str, tuple[str, ...], bool]] = [(element, (), True)]
    while stack:
        node, ids, top = stack.pop()
        if isinstance(node, str):
            pieces.append((node, ids))
            continue
        if not top:
            if node.tag in blocks or node.tag in SILENT or _raised_reference(node):
                pieces.append((" ", ()) if node.tag in blocks else ("", ()))
                continue
            if node.tag == "break" or node.tag in BLOCKS:
                pieces.append((" ", ids))
            if bracket_bold and node.tag == "bold" and (letters := _PANEL.fullmatch(node.text or "")):
                pieces.append((f"({letters[1]}) ", ids))
                continue
            if node.tag == "xref" and node.get("ref-type") == "fig":
                ids = tuple(attribute(node, "rid").split())
        for child in reversed(node):
            if child.tail:
                stack.append((child.tail, ids, False))
            stack.append((child, ids, False))
        if node.text:
            stack.append((node.text, ids, False))
    return _joined(pieces)


def plain(element: Element | None) -> str:
    """`flatten` without the links; empty for None."""
    if element is None:
        return ""
    return flatten(element).text if len(element) else " ".join((element.text or "").split())


def _joined(pieces: list[tuple[str, tuple[str, ...]]]) -> Flat:
    parts: list[str] = []
    links: list[Link] = []
    length, after_space = 0, True
    for text, ids in pieces:
        text = _SPACES.sub(" ", text)
        if after_space and text.startswith(" "):
            text = text[1:]
        if not text:
            continue
        if ids:
            if links and links[-1].ids == ids and links[-1].end == length:
                links[-1] = Link(links[-1].start, length + len(text), ids)
            else:
                links.append(Link(length, length + len(text), ids))
        parts.append(text)
        length += len(text)
        after_space = text.endswith(" ")
    return Flat("".join(parts).rstrip(), tuple(links))


def _raised_reference(node: Element) -> bool:
    """`<sup><xref ref-type="bibr">12</xref></sup>`, or the other way round: a number that would stick to the word."""
    if node.tag == "sup":
        return len(node) > 0 and all(child.tag == "xref" and child.get("ref-type") == "bibr" for child in node)
    return node.tag == "xref" and node.get("ref-type") == "bibr" and len(node) > 0 and node[0].tag == "sup"
