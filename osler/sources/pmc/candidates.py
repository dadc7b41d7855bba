"""Which articles: a list of ids, a query to Entrez, the bucket's daily inventory, or all of a local mirror."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from osler.errors import RecordError, SourceError
from osler.sources.pmc.bucket import BucketStore, plain_etag
from osler.sources.pmc.keys import version_of_metadata
from osler.sources.pmc.polite_http import PoliteClient
from osler.sources.pmc.stores import Listed, ObjectProblem

ESEARCH = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/esearch.fcgi"
PAGE = 1000
MOST_IDS = 10_000
"""ESearch gives no more of one query."""
_ID = re.compile(r"(?:PMC)?(\d{1,12})(?:\.(\d{1,6}))?", re.IGNORECASE)
_INVENTORY = re.compile(r".*/(\d{4}-\d{2}-\d{2}T\d{2}-\d{2}Z)/manifest\.json")
_MANIFEST_BYTES, _PART_BYTES = 50_000_000, 2_000_000_000


class WantedId(NamedTuple):
    """An article asked for; `version` is None for the newest."""

    number: int
    version: int | None


def read_ids(path: Path) -> list[WantedId]:
    """Ids of a text file: one a line (PMC123, 123, or PMC123.2 for one version), `#` begins a comment.

    Raises:
        RecordError: a line that is no id; names the line.
        SourceError: the file cannot be read or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error
    wanted: dict[WantedId, None] = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip().rstrip(",")
        if not text:
            continue
        found = _ID.fullmatch(text)
        if found is None:
            raise RecordError(f"{text[:60]!r} is no id of an article; want PMC123 or PMC123.2", path=path, line=number)
        wanted[WantedId(int(found[1]), int(found[2]) if found[2] else None)] = None
    if not wanted:
        raise SourceError(f"{path}: holds no id")
    return list(wanted)


def search(
    client: PoliteClient, term: str, *, since: str = "", until: str = "", email: str = "", url: str = ESEARCH
) -> list[WantedId]:
    """Ids that Entrez finds in PubMed Central among open-access articles.

    Args:
        client: used with at most three requests a second, as NCBI asks.
        term: in Entrez' language, for instance `"chest radiograph"[Title] AND cc_by_license[Filter]`.
        since: first date of release in PubMed Central, YYYY, YYYY-MM or YYYY-MM-DD.
        until: last.
        email: of the person to write to when something goes wrong; sent if given.
        url: of ESearch.

    Raises:
        SourceError: unreachable, the term is not understood, nothing is found, or more than ESearch gives out.
    """
    full = f"({term}) AND open_access[Filter]"
    if since or until:
        first, last = (date.replace("-", "/") for date in (since or "1900", until or "3000"))
        full += f' AND ("{first}"[pmcrdat] : "{last}"[pmcrdat])'
    found: dict[WantedId, None] = {}
    total, start = 1, 0
    while start < total:
        params = {"db": "pmc", "term": full, "retmode": "json", "retstart": str(start), "retmax": str(PAGE)}
        params |= {"tool": "osler", **({"email": email} if email else {})}
        try:
            with client.get(url, params) as response:
                answer = json.loads(response.read())["esearchresult"]
            if "ERROR" in answer or "count" not in answer:
                raise SourceError(f"{url}: {answer.get('ERROR', 'no count in the answer')}")
            total = int(answer["count"])
            ids = [WantedId(int(text), None) for text in answer["idlist"]]
        except ObjectProblem as problem:
            raise SourceError(problem.reason) from problem
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{url}: answers no ESearch result ({type(error).__name__}: {error})") from error
        if total > MOST_IDS:
            raise SourceError(
                f"the query finds {total} articles and ESearch gives out {MOST_IDS}; narrow it, split it by dates, or "
                "harvest from the inventory"
            )
        if not ids:
            break
        found.update(dict.fromkeys(ids))
        start += len(ids)
    if not found:
        raise SourceError(f"the query finds no open-access article: {term}")
    return list(found)


def inventory(store: BucketStore, *, day: str = "") -> Iterator[Listed]:
    """Every article version in an inventory of the bucket.

    Args:
        store: the bucket.
        day: YYYY-MM-DD; by default the newest there is (30 days are kept).

    Raises:
        SourceError: none of that day, or one that is damaged.
        ObjectProblem: unreachable.
    """
    prefix = f"inventory-reports/{store.bucket}/metadata/"
    found = {match[1]: entry.key for entry in store.objects(prefix) if (match := _INVENTORY.fullmatch(entry.key))}
    stamps = sorted(stamp for stamp in found if stamp.startswith(day))
    if not stamps:
        have = f"; there are {min(found)[:10]} to {max(found)[:10]}" if found else ""
        raise SourceError(f"{store.url}: no inventory{f' of {day}' if day else ''} under {prefix}{have}")
    key = found[stamps[-1]]
    try:
        manifest = json.loads(store.read(key, limit=_MANIFEST_BYTES))
        columns = [name.strip().lower() for name in manifest["fileSchema"].split(",")]
        places = [columns.index(name) for name in ("bucket", "key", "lastmodifieddate", "etag")]
        parts = [(part["key"], part.get("MD5checksum")) for part in manifest["files"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{key}: is no inventory manifest with bucket, key, date and ETag ({error})") from error
    for part, md5 in parts:
        yield from _rows(store, part, md5, places)


def _rows(store: BucketStore, key: str, md5: str | None, places: list[int]) -> Iterator[Listed]:
    data = store.read(key, limit=_PART_BYTES)
    if md5 is not None and hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
        raise SourceError(f"{key}: its MD5 is not the manifest's; try again, or take another day")
    try:
        with gzip.open(io.BytesIO(data), "rt", encoding="utf-8", newline="") as text:
            for row in csv.reader(text):
                bucket, name, changed, etag = (row[place] for place in places)
                version = version_of_metadata(unquote(name))
                if bucket == store.bucket and version is not None:
                    yield Listed(version, plain_etag(etag), changed)
    except (OSError, EOFError, IndexError, ValueError, csv.Error) as error:
        raise SourceError(f"{key}: is no gzipped CSV of an inventory ({type(error).__name__}: {error})") from error
