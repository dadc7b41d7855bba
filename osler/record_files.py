"""Read and write record files: JSONL, parquet, and LLaVA's JSON.

The suffix decides (`.jsonl`, `.parquet`, `.json` for LLaVA). Every line is validated; a bad one either stops the
reader with file, line and field, or is set aside in `<name>.rejects.jsonl`. Files are written wholly or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, overload

from osler import record_parquet
from osler.errors import RecordError
from osler.record_atomic import atomic_write
from osler.record_entries import Entry, Format, format_of, jsonl_entries, llava_entries, parquet_entries
from osler.record_ids import content_hash, pseudonym, stable_id
from osler.record_images import check_images, resolve_image
from osler.record_llava import record_to_llava
from osler.record_splits import split_records
from osler.record_validation import to_record
from osler.records import Record

__all__ = [
    "RecordSet",
    "Reject",
    "check_images",
    "content_hash",
    "iter_records",
    "pseudonym",
    "read_llava",
    "read_records",
    "rejects_path",
    "resolve_image",
    "split_records",
    "stable_id",
    "write_llava",
    "write_records",
]


class Reject(NamedTuple):
    """A line that is no valid record.

    Args:
        line: 1-based line, row or item.
        reason: what is wrong, with field.
        raw: the line as it stands in the file (undecodable bytes as `\\xNN`), or its JSON for parquet.
    """

    line: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class RecordSet(Sequence[Record]):
    """Valid records of a file, in its order; behaves as a sequence of them.

    Args:
        records: the valid ones.
        rejected: the lines set aside.
        rejects_file: where those were written, or None when there were none.
    """

    records: tuple[Record, ...]
    rejected: tuple[Reject, ...] = ()
    rejects_file: Path | None = None

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, index: int | slice) -> Record | tuple[Record, ...]:
        return self.records[index]


def read_records(
    path: str | Path,
    *,
    on_error: Literal["raise", "reject"] = "raise",
    format: Format | None = None,
    rejects: str | Path | None = None,
) -> RecordSet:
    """All records of a file.

    Args:
        path: `.jsonl`, `.parquet`, or `.json` (LLaVA; `read_llava` takes more options).
        on_error: "raise" stops at the first bad line; "reject" sets bad lines aside and goes on.
        format: instead of the suffix.
        rejects: where bad lines go, by default `<path>.rejects.jsonl`; an older file of that name is replaced, or
            removed when there are none.

    Raises:
        RecordError: for an unreadable file, and with "raise" for a bad line: not JSON, wrong field, newer schema,
            an id that was there before.
    """
    return _collect(path, _entries(path, format), on_error, rejects)


def iter_records(
    path: str | Path,
    *,
    format: Format | None = None,
    on_reject: Callable[[Reject], None] | None = None,
) -> Iterator[Record]:
    """Records of a file one by one, for files larger than memory.

    Args:
        path: as for `read_records`.
        format: instead of the suffix.
        on_reject: called with each bad line; without it the first bad line raises.

    Raises:
        RecordError: as `read_records`.
    """
    return _validated(path, _entries(path, format), on_reject)


def read_llava(
    path: str | Path,
    *,
    source: str = "unknown",
    licence: str = "unstated",
    split: str | None = None,
    derive_ids: bool = False,
    on_error: Literal["raise", "reject"] = "raise",
    rejects: str | Path | None = None,
) -> RecordSet:
    """Records of a LLaVA file: a JSON list, or one item a line.

    Args:
        path: the file.
        source: for the provenance of items that do not state it.
        licence: likewise.
        split: likewise.
        derive_ids: give every item an id made of its content (`stable_id`), for files whose ids are missing or occur
            twice; the id found there is kept as the tag `llava_id`. Items equal in all are still duplicates.
        on_error: as for `read_records`.
        rejects: as for `read_records`.

    Raises:
        RecordError: as `read_records`.
    """
    entries = llava_entries(path, source=source, licence=licence, split=split, derive_ids=derive_ids)
    return _collect(path, entries, on_error, rejects)


def write_records(records: Iterable[Record], path: str | Path, *, format: Format | None = None) -> int:
    """Write records; returns how many. The old file stays until the new one is complete.

    Raises:
        RecordError: when an id occurs twice or the suffix is unknown; nothing is written.
        OslerError: when the disk is full or the folder not writable.
    """
    chosen = format_of(path, format)
    counted = _Counted(records, path)
    with atomic_write(path) as stream:
        if chosen == "parquet":
            record_parquet.write_parquet(counted, stream)
        elif chosen == "jsonl":
            for record in counted:
                stream.write(record.model_dump_json(exclude_none=True).encode() + b"\n")
        else:
            for record in counted:
                stream.write(b"[\n" if counted.count == 1 else b",\n")
                stream.write(json.dumps(record_to_llava(record), ensure_ascii=False).encode())
            stream.write(b"\n]\n" if counted.count else b"[]\n")
    return counted.count


def write_llava(records: Iterable[Record], path: str | Path) -> int:
    """Write records as LLaVA's JSON list (see `osler.record_llava`); returns how many. Raises as `write_records`."""
    return write_records(records, path, format="llava")


def rejects_path(path: str | Path) -> Path:
    """`<path>.rejects.jsonl`: where bad lines of a record file are set aside."""
    return Path(path).with_name(Path(path).name + ".rejects.jsonl")


def _collect(
    path: str | Path, entries: Iterator[Entry], on_error: Literal["raise", "reject"], rejects: str | Path | None
) -> RecordSet:
    if on_error not in ("raise", "reject"):
        raise RecordError(f"on_error is {on_error!r}; want 'raise' or 'reject'")
    if on_error == "raise":
        return RecordSet(tuple(_validated(path, entries, None)))
    rejected: list[Reject] = []
    records = tuple(_validated(path, entries, rejected.append))
    target = rejects_path(path) if rejects is None else Path(rejects)
    if not rejected:
        target.unlink(missing_ok=True)  # of an earlier reading: it would tell of lines that are mended now
        return RecordSet(records)
    with atomic_write(target) as stream:
        for reject in rejected:
            stream.write(json.dumps(reject._asdict(), ensure_ascii=False).encode() + b"\n")
    return RecordSet(records, tuple(rejected), target)


def _validated(
    path: str | Path, entries: Iterator[Entry], on_reject: Callable[[Reject], None] | None
) -> Iterator[Record]:
    first_line: dict[str, int] = {}
    for entry in entries:
        try:
            try:
                record = to_record(entry.load())
                if record.id in first_line:
                    raise RecordError(f"{record.id!r} is already the id of line {first_line[record.id]}", field="id")
            except RecordError as error:
                raise RecordError(error.reason, path=path, line=entry.line, field=error.field) from error
        except RecordError as error:
            if on_reject is None:
                raise
            reason = error.reason if error.field is None else f"{error.field}: {error.reason}"
            on_reject(Reject(entry.line, reason, entry.raw()))
            continue
        first_line[record.id] = entry.line
        yield record


def _entries(path: str | Path, format: Format | None) -> Iterator[Entry]:
    chosen = format_of(path, format)
    if chosen == "jsonl":
        return jsonl_entries(path)
    if chosen == "parquet":
        return parquet_entries(path)
    return llava_entries(path, source="unknown", licence="unstated", split=None, derive_ids=False)


class _Counted(Iterable[Record]):
    """Passes records on, counts them and refuses an id that occurs twice."""

    def __init__(self, records: Iterable[Record], path: str | Path) -> None:
        self.records, self.path, self.count = records, path, 0

    def __iter__(self) -> Iterator[Record]:
        seen: dict[str, int] = {}
        for record in self.records:
            self.count += 1
            if record.id in seen:
                raise RecordError(
                    f"{record.id!r} is already the id of record {seen[record.id]}; nothing was written",
                    path=self.path,
                    line=self.count,
                    field="id",
                )
            seen[record.id] = self.count
            yield record
