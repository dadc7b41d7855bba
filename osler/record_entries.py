"""The lines, rows or items of a record file before validation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from osler.errors import RecordError
from osler.record_ids import stable_id
from osler.record_llava import llava_to_raw
from osler.record_parquet import read_rows, row_to_raw
from osler.record_validation import parse_json

Format = Literal["jsonl", "parquet", "llava"]
SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".parquet": "parquet", ".json": "llava"}


class Entry(NamedTuple):
    """One line, row or item.

    Args:
        line: 1-based.
        load: gives its raw record, or raises `RecordError`.
        raw: gives its text as it stands in the file.
    """

    line: int
    load: Callable[[], Any]
    raw: Callable[[], str]


def format_of(path: str | Path, format: Format | None) -> Format:
    """The stated format, or the one of the suffix.

    Raises:
        RecordError: when neither is known.
    """
    found = format or SUFFIXES.get(Path(path).suffix.lower())
    if found is None or found not in SUFFIXES.values():
        raise RecordError(f"unknown kind of record file {found or ''}; want one of {', '.join(SUFFIXES)}", path=path)
    return found


def jsonl_entries(path: str | Path) -> Iterator[Entry]:
    """Lines of a JSONL file; empty ones are skipped, a byte order mark is allowed."""
    for number, line in _lines(path):
        yield Entry(number, lambda line=line: parse_json(line), lambda line=line: _shown(line))  # type: ignore[misc]


def parquet_entries(path: str | Path) -> Iterator[Entry]:
    """Rows of a parquet file."""
    _must_exist(path)
    for number, row in enumerate(read_rows(path), start=1):
        yield Entry(number, lambda row=row: row_to_raw(row), lambda row=row: _dumped(row))  # type: ignore[misc]


def llava_entries(
    path: str | Path, *, source: str, licence: str, split: str | None, derive_ids: bool
) -> Iterator[Entry]:
    """Items of a LLaVA file: a JSON list, or one item a line."""

    def convert(item: Any) -> dict[str, Any]:
        if derive_ids and isinstance(item, dict):
            item = _with_derived_id(item)
        return llava_to_raw(item, source=source, licence=licence, split=split)

    if _starts_with_list(path):
        items = parse_json(_content(path), path=path)
        for number, item in enumerate(items, start=1):
            yield Entry(number, lambda item=item: convert(item), lambda item=item: _dumped(item))  # type: ignore[misc]
    else:
        for number, line in _lines(path):
            yield Entry(
                number,
                lambda line=line: convert(parse_json(line)),  # type: ignore[misc]
                lambda line=line: _shown(line),  # type: ignore[misc]
            )


def _with_derived_id(item: dict[str, Any]) -> dict[str, Any]:
    content = json.dumps(item, sort_keys=True, ensure_ascii=True)
    if "id" in item and "llava_id" in item:
        raise RecordError("cannot keep the old id here: the item has such a key already", field="llava_id")
    old = {"llava_id": str(item["id"])} if item.get("id") is not None else {}
    return {**item, **old, "id": stable_id("llava", content)}


def _lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    # split at line feeds only: str.splitlines would also split at U+2028, which JSON text may hold
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield number, line.rstrip(b"\r\n")
    except OSError as error:
        raise _unreadable(path, error) from error


def _starts_with_list(path: str | Path) -> bool:
    return next((line.lstrip().startswith(b"[") for _, line in _lines(path)), False)


def _content(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise _unreadable(path, error) from error


def _must_exist(path: str | Path) -> None:
    try:
        open(path, "rb").close()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | Path, error: OSError) -> RecordError:
    return RecordError(f"cannot be read: {error.strerror or error}", path=path)


def _shown(line: bytes) -> str:
    return line.decode("utf-8", errors="backslashreplace")


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
