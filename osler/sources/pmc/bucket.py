"""The public bucket: listing and fetching over anonymous HTTPS into a local mirror.

A file that is in the mirror with the stated MD5 is not fetched again, so an interrupted harvest goes on where it
stopped, and an update fetches what has changed. Files appear whole: bytes go to a temporary name first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from osler.errors import OslerError, RecordError, SourceError
from osler.sources.pmc.article_xml import parse_xml
from osler.sources.pmc.keys import BUCKET, ObjectRef, version_of_metadata
from osler.sources.pmc.metadata import MAX_BYTES as METADATA_BYTES
from osler.sources.pmc.polite_http import PoliteClient
from osler.sources.pmc.stores import Listed, ObjectProblem, md5_of

URL = "https://pmc-oa-opendata.s3.amazonaws.com"
_PIECE = 1 << 18
_LISTING_BYTES = 20_000_000


class S3Object(NamedTuple):
    """An entry of a listing."""

    key: str
    etag: str | None
    changed: str


class BucketStore:
    """The bucket and the mirror that it fills.

    Args:
        mirror: folder for what is fetched, in the bucket's layout.
        client: with rate, retries and connections.
        url: of the bucket; keys are added after a slash.
        bucket: name in the metadata's addresses.
    """

    def __init__(self, mirror: Path, client: PoliteClient, *, url: str = URL, bucket: str = BUCKET) -> None:
        if not url.startswith(("https://", "http://")):
            raise SourceError(f"{url!r} is no address; want for instance {URL}")
        self.folder, self.client, self.url, self.bucket = mirror, client, url.rstrip("/"), bucket

    def objects(self, prefix: str) -> Iterator[S3Object]:
        """Objects whose key begins so (ListObjectsV2), page by page.

        Raises:
            ObjectProblem: unreachable.
            SourceError: the answer is no listing.
        """
        token = ""
        while True:
            params = {"list-type": "2", "prefix": prefix, **({"continuation-token": token} if token else {})}
            data = self._read(self.url + "/", params, _LISTING_BYTES)
            try:
                page = parse_xml(data)
            except RecordError as error:
                raise SourceError(f"{self.url}: the listing of {prefix!r} {error.reason}") from error
            fields = {_local(node.tag): node.text or "" for node in page}
            if _local(page.tag) != "ListBucketResult":
                raise SourceError(f"{self.url}: answers <{_local(page.tag)}>, not a listing, for {prefix!r}")
            for node in page:
                if _local(node.tag) == "Contents":
                    entry = {_local(part.tag): part.text or "" for part in node}
                    yield S3Object(entry.get("Key", ""), plain_etag(entry.get("ETag")), entry.get("LastModified", ""))
            following = fields.get("NextContinuationToken", "") if fields.get("IsTruncated") == "true" else ""
            if not following or following == token:
                return
            token = following

    def versions(self, pmcid: str) -> list[Listed]:
        """All versions of an article, oldest first; empty when the bucket has none.

        Raises:
            ObjectProblem: unreachable.
        """
        found = []
        for entry in self.objects(f"metadata/{pmcid}."):
            version = version_of_metadata(entry.key)
            if version is not None and version.pmcid == pmcid:
                found.append(Listed(version, entry.etag, entry.changed))
        return sorted(found)

    def metadata(self, listed: Listed) -> bytes:
        """See `osler.sources.pmc.stores.Store`."""
        ref = ObjectRef(listed.version.metadata_key, listed.etag if listed.etag and "-" not in listed.etag else None)
        return self.file(ref, limit=METADATA_BYTES).read_bytes()

    def file(self, ref: ObjectRef, *, limit: int) -> Path:
        """See `osler.sources.pmc.stores.Store`. Without a stated MD5 the file is fetched anew each time."""
        path = self.folder / ref.key
        if ref.md5 is not None and path.is_file() and md5_of(path) == ref.md5:
            if path.stat().st_size > limit:
                raise ObjectProblem("too-large", f"{ref.key} has {path.stat().st_size} bytes; the limit is {limit}")
            return path
        for attempt in range(self.client.retries + 1):
            try:
                self._fetch(ref, path, limit)
            except ObjectProblem as problem:
                # a broken transfer and one with another MD5 may go well the next time; the rest was repeated already
                if problem.code not in ("wrong-md5", "broken-off") or attempt == min(self.client.retries, 2):
                    raise
                self.client.pause(attempt)
            else:
                return path
        raise AssertionError("the last attempt returns or raises")

    def read(self, key: str, *, limit: int) -> bytes:
        """An object that is not kept, for instance a manifest.

        Raises:
            ObjectProblem: absent, too large or unreachable.
        """
        return self._read(self._address(key), None, limit)

    def _address(self, key: str) -> str:
        return f"{self.url}/{quote(key)}"

    def _read(self, url: str, params: dict[str, str] | None, limit: int) -> bytes:
        for attempt in range(3):
            try:
                with self.client.get(url, params) as response:
                    return b"".join(_pieces(response, url, limit))
            except ObjectProblem as problem:
                if problem.code != "broken-off" or attempt == 2:
                    raise
                self.client.pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _fetch(self, ref: ObjectRef, path: Path, limit: int) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self.client.get(self._address(ref.key)) as response:
                etag = plain_etag(response.headers.get("etag"))
                with temporary.open("xb") as stream:
                    for piece in _pieces(response, ref.key, limit):
                        digest.update(piece)
                        stream.write(piece)
            # an ETag with a dash is of an upload in parts, and no MD5
            wanted = ref.md5 or (etag if etag and "-" not in etag and len(etag) == 32 else None)
            if wanted is not None and digest.hexdigest() != wanted:
                stated = "the metadata state" if ref.md5 else "its ETag is"
                raise ObjectProblem("wrong-md5", f"{ref.key} has MD5 {digest.hexdigest()}, {stated} {wanted}")
            os.replace(temporary, path)
        except OSError as error:
            raise OslerError(f"{path}: cannot be written: {error.strerror or error}") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _pieces(response: object, name: str, limit: int) -> Iterator[bytes]:
    """The body, up to the limit. A body that is shorter than its Content-Length is an error of httpx2.

    Raises:
        ObjectProblem: "too-large", or "broken-off" (temporary).
    """
    import httpx2

    assert isinstance(response, httpx2.Response)
    stated = response.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > limit:
        raise ObjectProblem("too-large", f"{name} has {stated} bytes; the limit is {limit}")
    size = 0
    try:
        for piece in response.iter_raw(_PIECE):
            size += len(piece)
            if size > limit:
                raise ObjectProblem("too-large", f"{name} has more than {limit} bytes")
            yield piece
    except httpx2.HTTPError as error:
        raise ObjectProblem("broken-off", f"{name}: {type(error).__name__}: {error}", temporary=True) from error


def plain_etag(text: str | None) -> str | None:
    """An ETag without quotation marks; None when there is none."""
    return text.strip().removeprefix("W/").strip('"').lower() or None if text else None


def _local(tag: str) -> str:
    """A tag without its namespace or prefix."""
    return tag.rpartition("}")[2].rpartition(":")[2]
