"""The list of articles of a harvest, on disk: eight million of them fit, and a killed run finds it again.

One row an article, with its newest version; which older ones were passed over is counted. SQLite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from osler.errors import SourceError
from osler.sources.pmc.keys import Version
from osler.sources.pmc.stores import Listed

_TABLES = """
CREATE TABLE IF NOT EXISTS article (
  number INTEGER PRIMARY KEY, version INTEGER, etag TEXT, changed TEXT, older INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_PUT = """
INSERT INTO article VALUES (?, ?, ?, ?, 0) ON CONFLICT (number) DO UPDATE SET
  older = older + (excluded.version <> version),
  etag = CASE WHEN excluded.version >= version THEN excluded.etag ELSE etag END,
  changed = CASE WHEN excluded.version >= version THEN excluded.changed ELSE changed END,
  version = max(version, excluded.version)
"""


class Planned(NamedTuple):
    """An article of the plan.

    Args:
        number: of the article, without "PMC".
        listed: its newest version; None when the bucket has none.
        older: how many older versions were passed over.
    """

    number: int
    listed: Listed | None
    older: int


class Plan:
    """The articles of one harvest, in the order of their numbers.

    Args:
        path: of the database; made if need be.

    Raises:
        SourceError: the file is no such database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(path)
            self._connection.executescript(_TABLES)
        except sqlite3.Error as error:
            raise SourceError(f"{path}: is no plan of a harvest ({error}); move it away to start over") from error

    def replace(self, listed: Iterable[Listed]) -> None:
        """Put a whole listing in the place of what was there; all of it or, when it fails, nothing."""
        with self._writing():
            self._connection.execute("DELETE FROM article")
            rows = ((item.version.number, item.version.version, item.etag, item.changed) for item in listed)
            self._connection.executemany(_PUT, rows)

    def clear(self) -> None:
        """Forget all articles."""
        with self._writing():
            self._connection.execute("DELETE FROM article")

    def has(self, number: int) -> bool:
        """Whether an article was looked up."""
        return self._connection.execute("SELECT 1 FROM article WHERE number = ?", (number,)).fetchone() is not None

    def add(self, number: int, versions: Sequence[Listed]) -> None:
        """Put one article that was looked up; without a version it is known to be absent."""
        newest = max(versions, default=None)
        with self._writing():
            self._connection.execute(
                "INSERT OR REPLACE INTO article VALUES (?, ?, ?, ?, ?)",
                (number, None, None, "", 0)
                if newest is None
                else (number, newest.version.version, newest.etag, newest.changed, len(versions) - 1),
            )

    def count(self) -> int:
        """How many articles there are."""
        return int(self._connection.execute("SELECT count(*) FROM article").fetchone()[0])

    def articles(
        self, *, changed_since: str = "", changed_until: str = "", limit: int | None = None
    ) -> Iterator[Planned]:
        """Articles by number.

        Args:
            changed_since: first date of the last change in the bucket (YYYY, YYYY-MM or YYYY-MM-DD), absent ones kept.
            changed_until: last date.
            limit: at most so many, the first.
        """
        query = (
            "SELECT number, version, etag, changed, older FROM article WHERE version IS NULL OR "
            "((:since = '' OR substr(changed, 1, length(:since)) >= :since) AND "
            "(:until = '' OR substr(changed, 1, length(:until)) <= :until)) ORDER BY number LIMIT :limit"
        )
        values = {"since": changed_since, "until": changed_until, "limit": -1 if limit is None else limit}
        for number, version, etag, changed, older in self._connection.execute(query, values):
            listed = None if version is None else Listed(Version(number, version), etag, changed)
            yield Planned(number, listed, older)

    def fact(self, name: str) -> str | None:
        """Something written down about the plan."""
        row = self._connection.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, name: str, value: str) -> None:
        """Write something down about the plan."""
        with self._writing():
            self._connection.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: all of it or nothing."""
        try:
            with self._connection:
                yield
        except sqlite3.Error as error:
            raise SourceError(f"{self.path}: cannot be written ({error}); what it held before is unchanged") from error
