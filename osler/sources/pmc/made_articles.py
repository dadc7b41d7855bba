"""Rehearsal articles in the bucket's layout: to try a harvest without a network, and to test one.

The folder is what a mirror of the bucket would be: `PMC900000001.1/` with XML, text, metadata and pictures, all
metadata again under `metadata/`, and an inventory. Ids lie far above those in use, and every title says that the
article is made. One seed fixes every byte.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from osler.errors import SourceError
from osler.sources.pmc.keys import BUCKET, Version
from osler.sources.pmc.made_texts import Made, made_figures
from osler.sources.pmc.made_xml import XmlFigure, article_xml

FIRST_NUMBER = 900_000_001
INVENTORY_DAY = "2026-11-01T01-00Z"
CHANGED = "2026-10-{day:02}T12:00:00.000Z"


class MadeSummary(NamedTuple):
    """What `make` wrote.

    Args:
        folder: in the bucket's layout.
        articles: without the broken ones; each in one version or several.
        pictures: of the newest versions.
        faults: broken articles.
    """

    folder: Path
    articles: int
    pictures: int
    faults: int


@dataclass(slots=True)
class Draft:
    """An article version before it is written.

    Args:
        version: of the article.
        xml: bytes of the XML file.
        media: picture files by name.
        metadata: fields of the metadata object; addresses and MD5 are filled in by `seal`.
    """

    version: Version
    xml: bytes
    media: dict[str, bytes]
    metadata: dict[str, Any] = field(default_factory=dict)

    def seal(self) -> None:
        """Fill in the addresses with the MD5 of the contents."""
        name = self.version.name
        self.metadata["xml_url"] = address(f"{name}/{name}.xml", self.xml)
        self.metadata["text_url"] = address(f"{name}/{name}.txt", self.text())
        self.metadata["media_urls"] = [address(f"{name}/{file}", data) for file, data in self.media.items()]

    def text(self) -> bytes:
        """The plain-text file."""
        return f"{self.metadata.get('title', '')}\n".encode()


def make(
    folder: Path,
    *,
    count: int = 200,
    captions: Path | None = None,
    pictures: Path | None = None,
    faults: int = 0,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> MadeSummary:
    """Write rehearsal articles.

    Of 40 articles, one is retracted, two have a licence that forbids commercial use, one lacks a picture file, one
    shows a picture twice, six have older versions, and two share a picture with the article before.

    Args:
        folder: new or empty.
        count: articles.
        captions: see `made_figures`.
        pictures: see `made_figures`.
        faults: broken articles besides, each in a way of its own (there are some sixty ways, then they begin again).
        seed: fixes every byte.
        advance: called with the number of articles written.

    Raises:
        SourceError: the folder is not empty, a count is out of range, or there are no captions or pictures.
    """
    if count < 1 or faults < 0:
        raise SourceError(f"count={count}, faults={faults}: want 1 and 0 or more")
    if folder.exists() and any(folder.iterdir()):
        raise SourceError(f"{folder}: exists and is not empty; give another folder")
    rows: list[tuple[str, str, str]] = []
    total = 0
    for index, drafts in enumerate(_articles(count, captions, pictures, seed)):
        total += len(drafts[-1].media)
        for draft in drafts:
            rows.append(_write(folder, draft, index))
        if advance is not None:
            advance(1)
    if faults:
        from osler.sources.pmc.made_faults import broken_articles

        for index, broken in enumerate(broken_articles(faults, FIRST_NUMBER + count, seed=seed)):
            rows.append(_write(folder, broken, index))
    _write_inventory(folder, rows)
    return MadeSummary(folder, count, total, faults)


def _articles(count: int, captions: Path | None, pictures: Path | None, seed: int) -> Iterator[list[Draft]]:
    """Versions of each article, oldest first."""
    needed = sum(sum(shape(index)) for index in range(count))
    stream = made_figures(captions, pictures, count=needed, seed=seed)
    before: Made | None = None
    for index in range(count):
        figures = [[next(stream) for _ in range(pictures_in)] for pictures_in in shape(index)]
        if index % 20 == 11 and before is not None:
            figures[0][0] = figures[0][0]._replace(picture=before.picture, suffix=before.suffix)
        before = figures[0][0]
        newest = (10 if index % 14 == 6 else 2) if index % 7 == 6 else 1
        drafts = [draft(index, Version(FIRST_NUMBER + index, newest), figures)]
        if newest > 1:
            drafts.insert(0, draft(index, Version(FIRST_NUMBER + index, newest - 1), figures, title="An earlier text"))
        yield drafts


def shape(index: int) -> list[int]:
    """Pictures of each figure of an article."""
    figures = [1] * (1 + index % 4)
    if index % 8 == 4:
        figures[0] = 2
    return figures


def draft(index: int, version: Version, figures: list[list[Made]], *, title: str = "") -> Draft:
    """An article version, sealed."""
    licence = "CC0" if all(made.licence == "CC0" for figure in figures for made in figure) else "CC BY"
    if index % 20 == 9:
        licence = "CC BY-NC"
    media: dict[str, bytes] = {}
    shown: list[XmlFigure] = []
    for number, figure in enumerate(figures, start=1):
        names = []
        for place, made in enumerate(figure):
            # both ways are common: a number after a stop, which is no suffix, and g001
            stem = f"CRIMADE{index}.{number:03}" if index % 3 else f"made-{index}-g{number:03}"
            stem += "abcdefgh"[place] if len(figure) > 1 else ""
            names.append(stem)
            media[stem + made.suffix] = made.picture
        shown.append(XmlFigure(tuple(made.caption for made in figure), tuple(names)))
    if index % 40 == 27:  # the same picture under two numbers
        extra = shown[0].graphics[0]
        shown.append(XmlFigure(("The same again.",), (extra,)))
    title = title or f"Made article {index}: a rehearsal"
    published = (2015 + index % 10, 1 + index % 12, 1 + index % 28)
    xml = article_xml(
        pmcid=version.pmcid, index=index, title=title, licence=licence, published=published, figures=shown
    )
    made_draft = Draft(version, xml.encode(), media, _fields(version, title, licence, retracted=index % 40 == 13))
    made_draft.seal()
    if index % 40 == 17:
        media.pop(next(iter(media)))  # stated, but not there
    return made_draft


def _fields(version: Version, title: str, licence: str, *, retracted: bool) -> dict[str, Any]:
    return {
        "pmcid": version.pmcid,
        "version": version.version,
        "pmid": None,
        "doi": f"10.0000/made.{version.pmcid.lower()}",
        "title": title,
        "citation": f"Journal of Made Articles. {version.pmcid}",
        "is_pmc_openaccess": True,
        "is_manuscript": False,
        "is_historical_ocr": False,
        "is_retracted": retracted,
        "license_code": licence,
    }


def address(key: str, data: bytes) -> str:
    """The address of an object, with its MD5, as metadata state it."""
    return f"s3://{BUCKET}/{key}?md5={hashlib.md5(data, usedforsecurity=False).hexdigest()}"


def _write(folder: Path, item: Draft | tuple[Draft, bytes], index: int) -> tuple[str, str, str]:
    """Write a version; its row of the inventory."""
    made, metadata = item if isinstance(item, tuple) else (item, json.dumps(item.metadata, indent=1).encode())
    name = made.version.name
    files = {f"{name}.xml": made.xml, f"{name}.txt": made.text(), f"{name}.json": metadata, **made.media}
    for file, data in files.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    central = folder / made.version.metadata_key
    central.parent.mkdir(parents=True, exist_ok=True)
    central.write_bytes(metadata)
    etag = hashlib.md5(metadata, usedforsecurity=False).hexdigest()
    return made.version.metadata_key, CHANGED.format(day=1 + index % 28), etag


def _write_inventory(folder: Path, rows: list[tuple[str, str, str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([BUCKET, key, changed, etag] for key, changed, etag in rows)
    data = gzip.compress(text.getvalue().encode(), mtime=0)
    base = f"inventory-reports/{BUCKET}/metadata"
    key = f"{base}/data/made.csv.gz"
    manifest = {
        "sourceBucket": BUCKET,
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, LastModifiedDate, ETag",
        "files": [{"key": key, "size": len(data), "MD5checksum": hashlib.md5(data, usedforsecurity=False).hexdigest()}],
    }
    for name, content in ((key, data), (f"{base}/{INVENTORY_DAY}/manifest.json", json.dumps(manifest).encode())):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "README.txt").write_text("Made articles in the layout of a public bucket. They are no research.\n")
