"""Published tables: rows with their line numbers, after a check that the columns are those of the layout."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from osler.errors import RecordError, SourceError


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(1-based line, row) for each row; cells without spaces around them.

    Args:
        path: CSV with a header line, UTF-8.
        columns: that the layout has; others may be there too. Unnamed ones are dropped.

    Raises:
        SourceError: when the file cannot be read, or a column is absent.
        RecordError: when a line is no CSV; carries path and line.
    """
    try:
        stream = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    with stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = [cell.strip() for cell in next(reader, [])]
            absent = [column for column in columns if column not in header]
            if absent:
                raise SourceError(f"{path}: has no column {absent[0]!r}; its layout has {', '.join(columns)}")
            line = reader.line_num + 1
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    padded = [*cells, *[""] * (len(header) - len(cells))]
                    yield line, {name: cell.strip() for name, cell in zip(header, padded, strict=False) if name}
                line = reader.line_num + 1
        except csv.Error as error:
            raise RecordError(f"not a table: {error}", path=path, line=reader.line_num) from error
        except UnicodeDecodeError as error:
            raise SourceError(f"{path}: is not UTF-8 text ({error.reason}); save it as CSV UTF-8") from error


def numbers(row: Mapping[str, str], columns: Sequence[str]) -> list[float]:
    """Cells as finite numbers.

    Raises:
        RecordError: names the column.
    """
    return [finite(row[column], column) for column in columns]


def finite(text: str, field: str) -> float:
    """A text as a finite number.

    Raises:
        RecordError: when it is none; names the field.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RecordError(f"is {text!r}; want a number", field=field)
    return value
