"""Broken rehearsal articles, each in a way of its own: what a harvest must set aside, with the reason, and survive."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any, NamedTuple

from osler.sources.pmc.keys import BUCKET, Version
from osler.sources.pmc.made_articles import Draft, draft
from osler.sources.pmc.made_texts import made_figures

_LAUGHS = b'<!DOCTYPE article [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
_FILE = b'<!DOCTYPE article [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
_PARAMETER = b'<!DOCTYPE article [<!ENTITY % a SYSTEM "http://localhost:9/a.dtd"> %a;]>'
_QUADRATIC = b'<!DOCTYPE article [<!ENTITY a "' + b"ha" * 1000 + b'">]>'
_HTML = b"<!DOCTYPE html><html><body><p>Not found<br></body></html>"


class Fault(NamedTuple):
    """A way to break an article.

    Args:
        code: under which it is set aside.
        break_xml: new bytes of the XML file, before MD5s are stated.
        break_draft: what else is done, after they are.
        metadata: the bytes of the metadata object instead of the draft's fields.
    """

    code: str
    break_xml: Callable[[bytes], bytes] | None = None
    break_draft: Callable[[Draft], None] | None = None
    metadata: Callable[[Draft], bytes] | None = None


def broken_articles(count: int, first_number: int, *, seed: int = 0) -> Iterator[tuple[Draft, bytes]]:
    """Broken articles and the bytes of their metadata, in the order of `FAULTS`."""
    figures = made_figures(None, None, count=2 * count, seed=seed + 1)
    for index, fault in enumerate(islice(cycle(FAULTS.values()), count)):
        broken = draft(0, Version(first_number + index, 1), [[next(figures)], [next(figures)]])
        yield broken, apply(fault, broken)


def apply(fault: Fault, broken: Draft) -> bytes:
    """Break a draft; the bytes of its metadata object."""
    if fault.break_xml is not None:
        broken.xml = fault.break_xml(broken.xml)
        broken.seal()
    if fault.break_draft is not None:
        fault.break_draft(broken)
    return fault.metadata(broken) if fault.metadata is not None else json.dumps(broken.metadata).encode()


def _body(data: bytes) -> bytes:
    """Without XML declaration and document type."""
    return data[data.index(b"<article ") :]


def _replace(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def _url(name: str) -> Callable[[Draft], None]:
    """Name the first picture otherwise in the metadata; its figure then has none."""

    def change(broken: Draft) -> None:
        broken.metadata["media_urls"][0] = f"s3://{BUCKET}/{name.format(folder=broken.version.name)}?md5={'0' * 32}"

    return change


def _set(**fields: Any) -> Callable[[Draft], None]:
    return lambda broken: broken.metadata.update(fields)


def _remove_xml_url(broken: Draft) -> None:
    del broken.metadata["xml_url"]


def _without_md5(broken: Draft) -> None:
    broken.metadata["xml_url"] = broken.metadata["xml_url"].partition("?")[0] + "?md5=0123"


def _xml_elsewhere(broken: Draft) -> None:
    broken.metadata["xml_url"] = broken.metadata["xml_url"].replace(".xml?", "-none.xml?")


def _other_xml(broken: Draft) -> None:
    broken.xml += b"<!-- changed -->"


def _picture(change: Callable[[bytes], bytes], *, sealed: bool = True) -> Callable[[Draft], None]:
    """Change the first picture file, before MD5s are stated or after."""

    def apply_to(broken: Draft) -> None:
        name = next(iter(broken.media))
        broken.media[name] = change(broken.media[name])
        if sealed:
            broken.seal()

    return apply_to


def _remove_picture(broken: Draft) -> None:
    broken.media.pop(next(iter(broken.media)))


def bomb(side: int = 20_000) -> bytes:
    """A PNG of a few kilobytes that decodes to `side` x `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    stream = io.BytesIO()
    for _ in range(side):
        stream.write(packer.compress(row))
    stream.write(packer.flush())
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", stream.getvalue()), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _second_id(data: bytes) -> bytes:
    return data.replace(b'<fig id="fig2"', b'<fig id="fig1"', 1)


_XML: dict[str, Callable[[bytes], bytes]] = {
    "truncated in the middle": lambda data: data[: len(data) // 2],
    "truncated in a tag": lambda data: data[: data.rindex(b"</article") + 4],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "entities that grow": lambda data: _LAUGHS + _body(data).replace(b"</abstract>", b"&c;</abstract>"),
    "an entity that is a file": lambda data: _FILE + _body(data).replace(b"</abstract>", b"&a;</abstract>"),
    "a parameter entity from elsewhere": lambda data: _PARAMETER + _body(data),
    "one long entity many times": lambda data: _QUADRATIC + _body(data).replace(b"</abstract>", b"&a;" * 99, 1),
    "an undefined entity": _replace(b"</abstract>", b"&nosuchname;</abstract>"),
    "Latin-1 declared as UTF-8": _replace(b"Made figure", "Café".encode("latin-1")),
    "UTF-8 declared as UTF-16": _replace(b'encoding="UTF-8"', b'encoding="UTF-16"'),
    "an unknown encoding": _replace(b'encoding="UTF-8"', b'encoding="x-none"'),
    "an encoding of several bytes": _replace(b'encoding="UTF-8"', b'encoding="shift_jis"'),
    "half a surrogate pair": _replace(b"Made figure", b"\xed\xa0\x80"),
    "overlong UTF-8": _replace(b"Made figure", b"\xc0\xaf"),
    "crossed tags": _replace(b"</abstract>", b"</p></abstract>"),
    "two roots": lambda data: data + b"<article/>",
    "text before the root": lambda data: b"Error: " + data,
    "one attribute twice": _replace(b'<fig id="fig1"', b'<fig id="fig1" id="fig2"'),
    "an attribute without quotes": _replace(b'<fig id="fig1"', b"<fig id=fig1"),
    "a bare ampersand": _replace(b"Made figure", b"Smith & Sons"),
    "a control character": _replace(b"Made figure", b"\x01"),
    "a web page": lambda data: _HTML,
    "another root": lambda data: _body(data).replace(b"<article ", b"<book ").replace(b"</article>", b"</book>"),
    "JSON": lambda data: b'{"error": "not found"}',
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "a PDF": lambda data: b"%PDF-1.7\n" + bytes(200),
    "no front": lambda data: data[: data.index(b"<front>")] + data[data.index(b"<body>") :],
    "another article": _replace(b'"pmcid">PMC9', b'"pmcid">PMC8'),
    "a hundred thousand open tags": lambda data: b"<article>" + b"<sec>" * 100_000,
}
FAULTS: dict[str, Fault] = {
    **{f"XML: {name}": Fault("xml-broken", break_xml=change) for name, change in _XML.items()},
    "XML: not there": Fault("xml-missing", break_draft=_xml_elsewhere),
    "XML: not stated": Fault("xml-missing", break_draft=_remove_xml_url),
    "XML: other MD5": Fault("xml-wrong-md5", break_draft=_other_xml),
    "XML: no figures": Fault(
        "no-figures", break_xml=lambda data: data.replace(b"<fig ", b"<x ").replace(b"</fig>", b"</x>")
    ),
    "metadata: no JSON": Fault("metadata-broken", metadata=lambda broken: b"<xml/>"),
    "metadata: truncated": Fault("metadata-broken", metadata=lambda broken: json.dumps(broken.metadata).encode()[:90]),
    "metadata: a list": Fault("metadata-broken", metadata=lambda broken: b"[1, 2]"),
    "metadata: empty": Fault("metadata-broken", metadata=lambda broken: b""),
    "metadata: Latin-1": Fault("metadata-broken", metadata=lambda broken: '{"title": "Café"}'.encode("latin-1")),
    "metadata: nested without end": Fault("metadata-broken", metadata=lambda broken: b"[" * 200_000),
    "metadata: of another article": Fault("metadata-broken", break_draft=_set(pmcid="PMC1")),
    "metadata: XML in another bucket": Fault("metadata-broken", break_draft=_set(xml_url="s3://other/a.xml?md5=0")),
    "metadata: XML above the folder": Fault(
        "metadata-broken", break_draft=_set(xml_url=f"s3://{BUCKET}/PMC1.1/../../etc/passwd?md5={'0' * 32}")
    ),
    "metadata: MD5 that is none": Fault("metadata-broken", break_draft=_without_md5),
    "metadata: no fields": Fault("not-open-access", metadata=lambda broken: b"{}"),
    "metadata: wrong types": Fault(
        "not-open-access", break_draft=_set(is_pmc_openaccess="yes", license_code=3, media_urls="none", title=[])
    ),
    "name: above the folder": Fault("unsafe-name", break_draft=_url("{folder}/../../../evil.jpg")),
    "name: absolute": Fault("unsafe-name", break_draft=_url("/etc/evil.jpg")),
    "name: backslashes": Fault("unsafe-name", break_draft=_url("{folder}/..\\..\\evil.jpg")),
    "name: percent signs": Fault("unsafe-name", break_draft=_url("{folder}/..%2f..%2fevil.jpg")),
    "name: a null character": Fault("unsafe-name", break_draft=_url("{folder}/evil\0.jpg")),
    "name: of another article": Fault("unsafe-name", break_draft=_url("PMC1.1/evil.jpg")),
    "name: hidden": Fault("unsafe-name", break_draft=_url("{folder}/.bashrc")),
    "name: too long": Fault("unsafe-name", break_draft=_url("{folder}/" + "a" * 300 + ".jpg")),
    "name: a drive": Fault("unsafe-name", break_draft=_url("{folder}/C:evil.jpg")),
    "picture: not there": Fault("picture-missing", break_draft=_remove_picture),
    "picture: other MD5": Fault("picture-wrong-md5", break_draft=_picture(lambda data: data + b"x", sealed=False)),
    "picture: truncated": Fault("picture-broken", break_draft=_picture(lambda data: data[: len(data) // 2])),
    "picture: a web page": Fault("picture-broken", break_draft=_picture(lambda data: _HTML)),
    "picture: empty": Fault("picture-broken", break_draft=_picture(lambda data: b"")),
    "picture: a bomb": Fault("picture-broken", break_draft=_picture(lambda data: bomb())),
    "figure: without a picture": Fault("no-picture", break_xml=lambda data: data.replace(b"<graphic ", b"<x ", 1)),
    "figure: without a caption": Fault(
        "no-caption",
        break_xml=lambda data: data[: data.index(b"<caption>")] + data[data.index(b"</caption>") + 10 :],
    ),
    "figure: one id twice": Fault("duplicate-figure", break_xml=_second_id),
    "figure: the placeholder in the caption": Fault(
        "record", break_xml=_replace(b"Made figure", b"Made &lt;image&gt; figure")
    ),
}
