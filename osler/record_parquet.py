"""Records as parquet: one row each, nested columns, readable with `datasets.load_dataset("parquet", ...)`.

Columns are the fields of `Record`. The three fields with free keys (`tags`, `images[].window`, `provenance.notes`)
are JSON text, since parquet wants the same keys in every row and `datasets` does not read parquet's map type.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from osler.errors import RecordError
from osler.record_validation import parse_json
from osler.records import SCHEMA_VERSION, Record

if TYPE_CHECKING:
    import pyarrow

ROWS_PER_GROUP = 2048


def schema() -> pyarrow.Schema:
    """The arrow schema of a record file."""
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    image = {"path": text, "width": whole, "height": whole, "sha256": text, "frame": whole, "window": text}
    box = {"xyxy": pa.list_(pa.float64()), "size": pa.list_(whole)}
    region = {"box": pa.struct(box), "label": text, "image": whole, "mask": text}
    provenance = dict.fromkeys(("source", "licence", "split", "url", "generator", "notes"), text)
    columns = {
        "schema_version": whole,
        "id": text,
        "images": pa.list_(pa.struct(image)),
        "turns": pa.list_(pa.struct({"role": text, "text": text})),
        "regions": pa.list_(pa.struct(region)),
        "extended": pa.list_(text),
        "subject": text,
        "study": text,
        "tags": text,
        "provenance": pa.struct(provenance),
    }
    return pa.schema(columns, metadata={"osler.schema_version": str(SCHEMA_VERSION)})


def write_parquet(records: Iterable[Record], stream: BinaryIO) -> None:
    """Write records to an open file, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    form = schema()
    rows = iter(records)
    with pq.ParquetWriter(stream, form, compression="zstd") as writer:
        while group := list(itertools.islice(rows, ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist([_to_row(record) for record in group], schema=form))


def read_rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """Rows of a record file as plain data, not yet validated.

    Raises:
        RecordError: when the file is no parquet, is damaged, or lacks the columns id and turns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in ("id", "turns") if name not in file.schema_arrow.names]
            if missing:
                raise RecordError(
                    f"is no record file: has no column {missing[0]!r}, only {file.schema_arrow.names!r:.200}", path=path
                )
            for batch in file.iter_batches(batch_size=ROWS_PER_GROUP):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise RecordError(f"cannot be read as parquet: {error}", path=path) from error


def row_to_raw(row: dict[str, Any]) -> dict[str, Any]:
    """Raw record from a row: JSON columns are parsed, absent values dropped.

    Raises:
        RecordError: naming the column whose text is no JSON.
    """
    raw = {key: value for key, value in row.items() if value is not None}
    if isinstance(raw.get("images"), list):
        raw["images"] = [_parse(image, "window", "images.window") for image in raw["images"]]
    if isinstance(raw.get("provenance"), dict):
        raw["provenance"] = _parse(raw["provenance"], "notes", "provenance.notes")
    return _parse(raw, "tags", "tags")


def _to_row(record: Record) -> dict[str, Any]:
    row = record.model_dump(mode="json")
    row["tags"] = json.dumps(row["tags"], ensure_ascii=False)
    row["provenance"]["notes"] = json.dumps(row["provenance"]["notes"], ensure_ascii=False)
    for image in row["images"]:
        image["window"] = None if image["window"] is None else json.dumps(image["window"], ensure_ascii=False)
    return row


def _parse(holder: Any, key: str, field: str) -> Any:
    if not isinstance(holder, dict) or not isinstance(holder.get(key), str):
        return holder
    try:
        return {**holder, key: parse_json(holder[key])}
    except RecordError as error:
        raise RecordError(error.reason, field=field) from error
