"""An article's XML from a stranger as an element tree, and nothing that XML can do beyond that.

Articles name a document type (`<!DOCTYPE article PUBLIC "-//NLM//DTD JATS ...">`), so `osler.sources.safe_xml`, which
refuses any, is too strict for them, and text and elements are mixed. Here the name of a document type is read over and
nothing is fetched for it, while a definition of anything in the file itself (entities: "billion laughs", files of this
machine) is refused. Character names that JATS and HTML share (`&nbsp;`, `&alpha;`) become their characters.
"""

from __future__ import annotations

import re
from html.entities import html5
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.parsers import expat

from osler.errors import RecordError

MAX_BYTES = 50_000_000
"""The largest articles, with all their tables, have some 10 MB."""
MAX_TAGS = 3_000_000
"""Bounds the memory of the tree: about 100 bytes an element."""

_CHARACTERS = {name[:-1]: text for name, text in html5.items() if name.endswith(";")}
_DECLARATION = re.compile(
    rb"<\?xml\s(?:(?!encoding|\?>).)*(?:encoding\s*=\s*[\"'](?:utf-?8|us-ascii|iso-8859-1)[\"'][^>]*)?\?>", re.I | re.S
)


def parse_xml(data: bytes) -> Element:
    """The root element.

    Args:
        data: of the file.

    Raises:
        RecordError: when it is too large, not well-formed, not in the encoding it states, or defines entities. Carries
            the line.
    """
    if len(data) > MAX_BYTES:
        raise RecordError(f"has {len(data)} bytes; an article has less than {MAX_BYTES}")
    tags = data.count(b"<")
    if tags > MAX_TAGS:
        raise RecordError(f"has {tags} tags; an article has less than {MAX_TAGS}")
    return _quick(data) if _is_plain(data) else _strict(data)


def _is_plain(data: bytes) -> bool:
    """Whether the bytes show that nothing is defined: no entity definition, in an encoding that could not hide one."""
    start = data[:400].removeprefix(b"\xef\xbb\xbf")
    declared = _DECLARATION.match(start)
    if declared is None and start.lstrip().startswith(b"<?xml"):
        return False
    # a namespace of the root would become part of all names
    return b"\0" not in start and b"<!ENTITY" not in data and b"xmlns=" not in data[:4000]


def _quick(data: bytes) -> Element:
    """Twice as fast as `_strict`: the standard library's own way from expat to the tree."""
    parser = XMLParser()
    parser.entity.update(_CHARACTERS)
    try:
        parser.feed(data)
        return parser.close()
    except ParseError as error:
        if "unbound prefix" in str(error):  # wrong, but it does not matter here
            return _strict(data)
        reason = str(error).partition(": line ")[0]
        raise RecordError(f"is no well-formed XML: {reason}", line=error.position[0]) from error


def _strict(data: bytes) -> Element:
    """Refuses every definition by expat's own reading of it, whatever the encoding."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise RecordError("defines entities, which can expand without end or name files", line=parser.CurrentLineNumber)

    def skipped(name: str, is_parameter: bool) -> None:
        character = _CHARACTERS.get(name)
        if character is None or is_parameter:
            raise RecordError(
                f"is no well-formed XML: undefined entity &{name};",
                line=parser.CurrentLineNumber,
            )
        builder.data(character)

    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.SkippedEntityHandler = skipped
    # straight from expat to the tree, without a Python frame for each tag
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
        return builder.close()
    except expat.ExpatError as error:
        reason = f"is no well-formed XML: {expat.errors.messages[error.code]}"
        raise RecordError(reason, line=error.lineno) from error
    except (LookupError, ValueError) as error:  # an encoding that Python does not know, or of several bytes
        raise RecordError(f"is in an encoding that cannot be read: {error}", line=1) from error


def attribute(element: Element, name: str) -> str:
    """An attribute by its local name (`href` finds `xlink:href`); empty when absent."""
    value = element.get(name)
    if value is not None:
        return value
    return next((text for key, text in element.attrib.items() if _local(key) == name), "")


def _local(key: str) -> str:
    """Without prefix ("xlink:href") or namespace ("{http://...}href")."""
    return key.rpartition("}")[2].rpartition(":")[2]
