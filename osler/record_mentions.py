"""What an article says of a record's figure: notes `mentions` and `panels` of the provenance.

Notes hold plain values, so each is one JSON list. Sources write them with `mentions_note` and `panels_note`,
instruction writers read them with `mentions_of` and `panels_of`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from osler.errors import RecordError
from osler.records import Record

MENTIONS_NOTE = "mentions"
PANELS_NOTE = "panels"


class Mention(NamedTuple):
    """A sentence of the article that names the figure.

    Args:
        text: the sentence.
        before: what stands before it in its paragraph.
        after: what stands behind it.
        panels: letters of the panels that it names; none for the whole figure.
        section: title of the section.
    """

    text: str
    before: str = ""
    after: str = ""
    panels: tuple[str, ...] = ()
    section: str = ""


class Panel(NamedTuple):
    """A lettered part of the figure and what the caption says of it."""

    label: str
    text: str


def mentions_note(mentions: Iterable[Mention]) -> str:
    """Value of the note; empty parts are left out."""
    items = [{key: value for key, value in mention._asdict().items() if value} for mention in mentions]
    return json.dumps(items, ensure_ascii=False)


def panels_note(panels: Iterable[Panel]) -> str:
    """Value of the note."""
    return json.dumps([panel._asdict() for panel in panels], ensure_ascii=False)


def mentions_of(record: Record) -> tuple[Mention, ...]:
    """Mentions of a record's figure, in the article's order; empty when it has no such note.

    Raises:
        RecordError: the note is no JSON list of mentions; names the record.
    """
    return tuple(
        Mention(
            text=_text(record, MENTIONS_NOTE, item.get("text")),
            before=str(item.get("before", "")),
            after=str(item.get("after", "")),
            panels=tuple(map(str, item.get("panels", ()))),
            section=str(item.get("section", "")),
        )
        for item in _items(record, MENTIONS_NOTE)
    )


def panels_of(record: Record) -> tuple[Panel, ...]:
    """Panels of a record's figure; empty when it has no such note. Raises as `mentions_of`."""
    return tuple(
        Panel(_text(record, PANELS_NOTE, item.get("label")), str(item.get("text", "")))
        for item in _items(record, PANELS_NOTE)
    )


def _items(record: Record, name: str) -> Sequence[dict[str, Any]]:
    note = record.provenance.notes.get(name)
    if note is None:
        return ()
    try:
        items = json.loads(note) if isinstance(note, str) else None
    except ValueError as error:
        raise RecordError(f"record {record.id!r}: is not JSON: {error}", field=f"provenance.notes.{name}") from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RecordError(f"record {record.id!r}: is no JSON list of objects", field=f"provenance.notes.{name}")
    return items


def _text(record: Record, name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise RecordError(f"record {record.id!r}: an entry has no text", field=f"provenance.notes.{name}")
    return value
