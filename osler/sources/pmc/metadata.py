"""The metadata object of an article version. A field of a wrong type counts as absent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from osler.errors import RecordError
from osler.sources.pmc.keys import BUCKET, ObjectRef, Version, parse_url

MAX_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the bucket says of one version; texts are empty and flags False where it does not.

    Args:
        xml: the article, if it is there.
        media: pictures and supplements with safe names.
        refused: reasons for the media addresses that are not safe.
    """

    version: Version
    pmid: str
    doi: str
    title: str
    citation: str
    licence: str
    open_access: bool
    retracted: bool
    manuscript: bool
    scanned: bool
    xml: ObjectRef | None
    media: tuple[ObjectRef, ...]
    refused: tuple[str, ...]


def parse_metadata(data: bytes, version: Version, *, bucket: str = BUCKET) -> Metadata:
    """Read a metadata object.

    Args:
        data: of the object.
        version: that it was fetched for.
        bucket: that its addresses name.

    Raises:
        RecordError: when it is no JSON object, is of another article, or its XML address is not safe.
    """
    if len(data) > MAX_BYTES:
        raise RecordError(f"metadata have {len(data)} bytes; want less than {MAX_BYTES}")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"metadata are no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise RecordError(f"metadata are a JSON {type(fields).__name__}, not an object")
    stated = _text(fields, "pmcid")
    if stated and stated != version.pmcid:
        raise RecordError(f"metadata are of {stated[:40]}, not of {version.pmcid}")
    xml_url = _text(fields, "xml_url")
    media: list[ObjectRef] = []
    refused: list[str] = []
    urls = fields.get("media_urls")
    for url in urls if isinstance(urls, list) else []:
        if not isinstance(url, str):
            continue
        try:
            media.append(parse_url(url, version, bucket=bucket))
        except RecordError as error:
            refused.append(error.reason)
    return Metadata(
        version=version,
        pmid=_text(fields, "pmid"),
        doi=_text(fields, "doi"),
        title=_text(fields, "title"),
        citation=_text(fields, "citation"),
        licence=_text(fields, "license_code"),
        open_access=fields.get("is_pmc_openaccess") is True,
        retracted=fields.get("is_retracted") is True,
        manuscript=fields.get("is_manuscript") is True,
        scanned=fields.get("is_historical_ocr") is True,
        xml=parse_url(xml_url, version, bucket=bucket) if xml_url else None,
        media=tuple(media),
        refused=tuple(refused),
    )


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and name == "pmid":
        return str(value)
    return " ".join(value.split()) if isinstance(value, str) else ""
