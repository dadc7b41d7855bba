"""Rows of published JSON files, and checks of their fields that name the field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from osler.errors import RecordError, SourceError
from osler.record_images import resolve_image
from osler.record_validation import parse_json


def read_list(path: Path) -> list[tuple[int, Any]]:
    """(1-based position, item) of a JSON list, or (1-based line, object) of JSON Lines (`.jsonl`).

    Raises:
        SourceError: when the file cannot be read.
        RecordError: when it is no JSON, or no list; for a line of JSON Lines it carries the line.
    """
    data = _bytes(path)
    if path.suffix == ".jsonl":
        lines = enumerate(data.splitlines(), start=1)
        return [(number, parse_json(line, path=path, line=number)) for number, line in lines if line.strip()]
    rows = parse_json(data, path=path)
    if not isinstance(rows, list):
        raise RecordError(f"holds a {type(rows).__name__}, not a list", path=path)
    return list(enumerate(rows, start=1))


def read_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file.

    Raises:
        SourceError: when the file cannot be read.
        RecordError: when it is no JSON object.
    """
    content = parse_json(_bytes(path), path=path)
    if not isinstance(content, dict):
        raise RecordError(f"holds a {type(content).__name__}, not an object", path=path)
    return content


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """As `read_list`; None stands for an item that is no object, or a line of JSON Lines that is no JSON.

    Raises:
        SourceError, RecordError: as `read_list`, but for such lines.
    """
    if path.suffix != ".jsonl":
        for number, row in read_list(path):
            yield number, row if isinstance(row, dict) else None
        return
    for number, line in enumerate(_bytes(path).splitlines(), start=1):
        if line.strip():
            with suppress(RecordError):
                row = parse_json(line)
                if isinstance(row, dict):
                    yield number, row
                    continue
            yield number, None


def text(row: Mapping[str, Any], *fields: str) -> str:
    """The text of the first of these fields that the row has, without white space around it.

    Raises:
        RecordError: when it has none of them, or it is no text or blank; names the field.
    """
    field = next((name for name in fields if row.get(name) is not None), fields[0])
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise RecordError(f"want text, not {value!r:.80}", field=field)
    return value.strip()


def key(row: Mapping[str, Any], field: str) -> str:
    """A number or text that identifies a row.

    Raises:
        RecordError: when it is neither, or blank; names the field.
    """
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise RecordError(f"want a number or text, not {value!r:.80}", field=field)
    return str(value).strip()


def image_file(folder: Path, path: str, *, field: str) -> str:
    """The path, after a check that it names a file inside the folder.

    Raises:
        RecordError: when it does not; names the field.
    """
    try:
        found = resolve_image(folder, path)
    except RecordError as error:
        raise RecordError(error.reason, field=field) from error
    if not found.is_file():
        raise RecordError(f"{path!r}: there is no such file in {folder}", field=field)
    return path
