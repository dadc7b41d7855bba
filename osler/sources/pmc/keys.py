"""Names in the bucket: which are an article's, and which could lead out of a folder.

Names come from strangers (metadata, XML), and become files of this machine. Only `metadata/PMC1.2.json` and one plain
file name under `PMC1.2/` are taken.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from osler.errors import RecordError

BUCKET = "pmc-oa-opendata"
_VERSION = re.compile(r"(PMC(\d{1,12}))\.(\d{1,6})")
_METADATA = re.compile(r"metadata/(PMC\d{1,12}\.\d{1,6})\.json")
_MD5 = re.compile(r"[0-9a-f]{32}")
MAX_NAME_BYTES = 200  # file systems stop at 255, and a temporary name is a little longer


class Version(NamedTuple):
    """One version of one article; versions compare as numbers (.10 is newer than .2)."""

    number: int
    version: int

    @property
    def pmcid(self) -> str:
        """For instance "PMC10009416"."""
        return f"PMC{self.number}"

    @property
    def name(self) -> str:
        """For instance "PMC10009416.1", the prefix of its files."""
        return f"PMC{self.number}.{self.version}"

    @property
    def metadata_key(self) -> str:
        """Of its metadata object."""
        return f"metadata/{self.name}.json"


class ObjectRef(NamedTuple):
    """An object that metadata name: key in the bucket, and MD5 where stated."""

    key: str
    md5: str | None

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]


def version_of(text: str) -> Version | None:
    """The version that a prefix such as "PMC1.2" names; None when it names none."""
    found = _VERSION.fullmatch(text)
    return Version(int(found[2]), int(found[3])) if found and found[1] == f"PMC{int(found[2])}" else None


def version_of_metadata(key: str) -> Version | None:
    """The version that a metadata key belongs to; None for any other key."""
    found = _METADATA.fullmatch(key)
    return version_of(found[1]) if found else None


def parse_url(url: str, version: Version, *, bucket: str = BUCKET) -> ObjectRef:
    """The object behind `s3://<bucket>/<key>?md5=<hex>`.

    Args:
        url: from the metadata of `version`.
        version: whose folder the object must lie in.
        bucket: that must be named.

    Raises:
        RecordError: another bucket, a key that is no plain file name in the article's folder, or a broken MD5.
    """
    start = f"s3://{bucket}/"
    if not url.startswith(start):
        raise RecordError(f"address {url[:200]!r} is not of the bucket {bucket}")
    key, question, query = url.removeprefix(start).rpartition("?md5=")
    if not question:
        key, query = query, ""
    md5 = query.lower() or None
    if md5 is not None and not _MD5.fullmatch(md5):
        raise RecordError(f"address {url[:200]!r} states no MD5 of 32 hex digits")
    folder, _, name = key.partition("/")
    if folder != version.name:
        raise RecordError(f"key {key[:200]!r} does not lie in {version.name}/")
    check_name(name)
    return ObjectRef(key, md5)


def check_name(name: str) -> None:
    """Refuse what is no plain file name on every system.

    Raises:
        RecordError: empty, too long, hidden, a way out of the folder, or with characters that a file name cannot hold.
    """
    reason = ""
    if not name or name.startswith("."):
        reason = "is empty, hidden or a way out of the folder"
    elif any(sign in name for sign in "/\\:") or "%2f" in name.lower() or "%5c" in name.lower():
        reason = "leads into another folder"
    elif any(ord(sign) < 32 or ord(sign) == 127 for sign in name):
        reason = "holds control characters"
    elif len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        reason = "is too long"
    elif name != name.strip() or name.endswith("."):
        reason = "begins or ends with a space or stop"
    if reason:
        raise RecordError(f"file name {name[:200]!r} {reason}")
