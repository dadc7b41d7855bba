"""XML from strangers: elements with their line numbers, and nothing that XML can do beyond that.

A document type is refused, and with it every entity definition: "billion laughs" and files included from elsewhere both
need one. Depth and size are bounded. Only the standard library's expat is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from osler.errors import RecordError

MAX_BYTES = 10_000_000
MAX_DEPTH = 50


@dataclass(slots=True)
class Element:
    """One element.

    Args:
        tag: its name.
        line: 1-based line of its start.
        text: character data directly in it, all of it.
        children: elements in it, in order.
        attributes: by name.
    """

    tag: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)

    def all(self, tag: str) -> list[Element]:
        """The direct children of that name."""
        return [child for child in self.children if child.tag == tag]

    def one(self, tag: str) -> Element:
        """The only direct child of that name.

        Raises:
            RecordError: when there is none, or more than one; carries the line.
        """
        found = self.all(tag)
        if len(found) != 1:
            raise RecordError(f"<{self.tag}> has {len(found)} elements <{tag}>; want one", line=self.line, field=tag)
        return found[0]

    def value(self, tag: str) -> str:
        """Text of the only child of that name, without spaces around it.

        Raises:
            RecordError: as `one`, or when it is empty.
        """
        child = self.one(tag)
        text = child.text.strip()
        if not text:
            raise RecordError("is empty", line=child.line, field=tag)
        return text


def read_xml(path: Path) -> Element:
    """The root element of a file.

    Raises:
        RecordError: when it cannot be read, is too large or deep, is not well-formed, or has a document type or entity
            definition. Carries path and line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})", path=path) from error
    if len(data) > MAX_BYTES:
        raise RecordError(f"has {len(data)} bytes; an annotation has less than {MAX_BYTES}", path=path)
    parser = expat.ParserCreate()
    stack: list[Element] = [Element("", 0)]

    def refuse(*_: object) -> NoReturn:
        raise RecordError(
            "has a document type (<!DOCTYPE ...>), which can define entities and name other files; remove it if you "
            "trust the file",
            path=path,
            line=parser.CurrentLineNumber,
        )

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) > MAX_DEPTH:
            raise RecordError(f"is nested more than {MAX_DEPTH} deep", path=path, line=parser.CurrentLineNumber)
        element = Element(tag, parser.CurrentLineNumber, attributes=attributes)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise RecordError(
            f"is no well-formed XML: {expat.errors.messages[error.code]}", path=path, line=error.lineno
        ) from error
    return stack[0].children[0]
