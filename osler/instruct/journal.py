"""A file of answers that grows as they come, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from osler.errors import OslerError


class Journal:
    """JSON lines, appended and flushed one by one; an earlier run's lines are read back.

    A last line that was cut off by a crash is dropped and overwritten.

    Args:
        path: of the file; made when the first line is added.

    Raises:
        OslerError: when an existing file is no journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, dict[str, Any]] = {}
        self._stream: Any = None
        self._good = 0
        if path.exists():
            self._read()

    def _read(self) -> None:
        data = self.path.read_bytes()
        for number, line in enumerate(data.splitlines(keepends=True), start=1):
            whole = line.endswith(b"\n")
            try:
                entry = json.loads(line)
                key = entry["key"]
            except (ValueError, KeyError, TypeError):
                if whole:
                    raise OslerError(
                        f"{self.path}:{number}: is no entry of a journal; move the file away to start over"
                    ) from None
                return
            if not whole:
                return
            self.entries[key] = entry
            self._good += len(line)

    def get(self, key: str) -> dict[str, Any] | None:
        """The entry of a key, from this run or an earlier one."""
        return self.entries.get(key)

    def add(self, key: str, **values: Any) -> None:
        """Append an entry; it is on its way to the disk when this returns."""
        if self._stream is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("r+b" if self.path.exists() else "w+b")
            self._stream.truncate(self._good)
            self._stream.seek(0, os.SEEK_END)
        entry = {"key": key, **values}
        self.entries[key] = entry
        self._stream.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
