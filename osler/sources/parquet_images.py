"""Rows of parquet files as the Hub keeps them, with the pictures inside written out as files.

A column of kind `Image` is a struct of `bytes` and `path` (https://huggingface.co/docs/datasets/image_dataset); the
shards of a split are `<split>-00000-of-00002.parquet`, often below `data/`. Pictures are named by their SHA-256, so
that a picture of many questions is one file, and an equal picture in two splits has one name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from osler.errors import RecordError, SourceError

_KINDS = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}
_DIGITS = 24


def shards(home: Path, split: str) -> list[Path]:
    """Files of a split, in order; below `home` or `home/data`."""
    return sorted(path for folder in (home, home / "data") for path in folder.glob(f"{split}-*.parquet"))


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(1-based row, row) of a file, a batch at a time.

    Args:
        path: of the file.
        columns: that the layout has; those that the file lacks too are an error, others are read with them.

    Raises:
        SourceError: not readable as parquet, or a column is absent.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        absent = [column for column in columns if column not in file.schema_arrow.names]
        if absent:
            raise SourceError(f"{path}: has no column {absent[0]!r}; its layout has {', '.join(columns)}")
        number = 0
        for batch in file.iter_batches(batch_size=64):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: is no readable parquet file: {error}") from error


def write_picture(value: Any, folder: Path, *, field: str) -> str:
    """Write the picture of a row below `folder/images`, unless it is there already.

    Returns:
        Its path relative to `folder`.

    Raises:
        RecordError: when the value holds no picture; names the field.
    """
    data = value.get("bytes") if isinstance(value, dict) else None
    kind = next((end for head, end in _KINDS.items() if data and data.startswith(head)), None)
    if data and kind is None and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = ".webp"
    if not data or kind is None:
        raise RecordError("holds no picture (want bytes of PNG, JPEG, TIFF, BMP, GIF or WebP)", field=field)
    path = f"images/{hashlib.sha256(data).hexdigest()[:_DIGITS]}{kind}"
    target = folder / path
    if not target.is_file() or target.stat().st_size != len(data):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path
