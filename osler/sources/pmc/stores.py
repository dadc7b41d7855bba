"""Where articles lie: a folder in the bucket's layout, or the bucket itself, which fills such a folder.

Both give the same thing: paths of local files whose content is what the metadata say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from osler.errors import SourceError
from osler.sources.pmc.keys import BUCKET, ObjectRef, Version, version_of, version_of_metadata


class Listed(NamedTuple):
    """A metadata object as listings and inventories show it.

    Args:
        version: of an article.
        etag: changes with any object of the article; None where the listing states none.
        changed: date and time of the last change, ISO 8601, or "".
    """

    version: Version
    etag: str | None
    changed: str


class ObjectProblem(Exception):
    """An object that cannot be had in good order.

    Args:
        code: "missing", "forbidden", "wrong-md5", "too-large", "unsafe-name", "broken-off" or "unreachable".
        reason: with the facts.
        temporary: whether another run may succeed.
    """

    def __init__(self, code: str, reason: str, *, temporary: bool = False) -> None:
        self.code, self.reason, self.temporary = code, reason, temporary
        super().__init__(reason)


class Store(Protocol):
    """Local files of articles, fetched when asked for.

    Attributes:
        folder: that holds them, in the bucket's layout.
        bucket: name in the metadata's addresses.
    """

    @property
    def folder(self) -> Path:
        """In the bucket's layout."""
        ...

    @property
    def bucket(self) -> str:
        """Its name in the metadata's addresses."""
        ...

    def metadata(self, listed: Listed) -> bytes:
        """The metadata object.

        Raises:
            ObjectProblem: it is absent or differs from its ETag.
        """
        ...

    def file(self, ref: ObjectRef, *, limit: int) -> Path:
        """A file of an article, checked against its MD5.

        Raises:
            ObjectProblem: it is absent, has more bytes than `limit`, or another MD5.
        """
        ...


@dataclass(frozen=True, slots=True)
class FolderStore:
    """A local mirror of the bucket's layout.

    Args:
        folder: with `PMC1.1/PMC1.1.xml` ..., and `metadata/` or `PMC1.1/PMC1.1.json`.
        bucket: name in the metadata's addresses.
    """

    folder: Path
    bucket: str = BUCKET

    def listed(self) -> Iterator[Listed]:
        """Every version in the folder, in no order.

        Raises:
            SourceError: there is no such folder, or no article in it.
        """
        if not self.folder.is_dir():
            raise SourceError(f"{self.folder}: no such folder")
        central = self.folder / "metadata"
        count = 0
        if central.is_dir():
            entries = ((version_of_metadata(f"metadata/{path.name}"), path) for path in central.iterdir())
        else:
            entries = ((version_of(path.name), path / f"{path.name}.json") for path in self.folder.iterdir())
        for version, path in entries:
            if version is None or not path.is_file():
                continue
            count += 1
            data = path.read_bytes()
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
            yield Listed(version, hashlib.md5(data, usedforsecurity=False).hexdigest(), changed)
        if not count:
            raise SourceError(
                f"{self.folder}: holds no article; want metadata/PMC1.1.json or PMC1.1/PMC1.1.json in it, as in the "
                f"bucket {self.bucket}"
            )

    def metadata(self, listed: Listed) -> bytes:
        """See `Store`."""
        version = listed.version
        for path in (self.folder / version.metadata_key, self.folder / version.name / f"{version.name}.json"):
            if path.is_file():
                return self._inside(path).read_bytes()
        raise ObjectProblem("missing", f"no metadata {version.metadata_key}")

    def file(self, ref: ObjectRef, *, limit: int) -> Path:
        """See `Store`."""
        path = self.folder / ref.key
        if not path.is_file():
            raise ObjectProblem("missing", f"no file {ref.key}")
        self._inside(path)
        if (size := path.stat().st_size) > limit:
            raise ObjectProblem("too-large", f"{ref.key} has {size} bytes; the limit is {limit}")
        if ref.md5 is not None and (found := md5_of(path)) != ref.md5:
            raise ObjectProblem("wrong-md5", f"{ref.key} has MD5 {found}, the metadata state {ref.md5}")
        return path

    def _inside(self, path: Path) -> Path:
        """Refuse a symbolic link that leads out of the mirror."""
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise ObjectProblem("unsafe-name", f"{path.name} is a link that leads out of the mirror")
        return path


def md5_of(path: Path) -> str:
    """MD5 of a file's bytes, hexadecimal: what S3 states, no protection against forgery."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
