"""XML of strangers cannot expand, include or exhaust anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.errors import RecordError
from osler.sources import safe_xml
from osler.sources.safe_xml import read_xml

LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]>\n<a>&c;</a>'
INCLUDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>\n<a>&x;</a>'
FOREIGN = '<?xml version="1.0"?>\n<!DOCTYPE a SYSTEM "http://localhost:9/a.dtd">\n<a/>'


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "a.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("text", "line"), [(LAUGHS, 1), (INCLUDE, 1), (FOREIGN, 2)])
def test_a_document_type_is_refused_before_anything_is_read(tmp_path: Path, text: str, line: int) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecordError, match="has a document type") as caught:
        read_xml(path)
    assert (caught.value.path, caught.value.line) == (path, line)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no element found"),
        ("<a><b></a>", "mismatched tag"),
        ("<a>&nbsp;</a>", "undefined entity"),
        ("<a/><b/>", "junk after document element"),
        (b"<a>\xff</a>", "not well-formed"),
        ("<a>" * 60 + "</a>" * 60, "nested more than 50 deep"),
    ],
)
def test_broken_files_are_named_with_line(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=reason) as caught:
        read_xml(written(tmp_path, text))
    assert caught.value.line == 1


def test_size_is_bounded_and_absence_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_xml, "MAX_BYTES", 5)
    with pytest.raises(RecordError, match="has 8 bytes"):
        read_xml(written(tmp_path, "<a>b</a>"))
    with pytest.raises(RecordError, match="cannot be read"):
        read_xml(tmp_path / "none.xml")


def test_lines_text_and_children(tmp_path: Path) -> None:
    root = read_xml(written(tmp_path, "<a>\n <b> x&amp;y </b>\n <b/>\n <c>é</c>\n</a>"))
    assert [(b.line, b.text.strip()) for b in root.all("b")] == [(2, "x&y"), (3, "")]
    assert root.value("c") == "é"
    with pytest.raises(RecordError, match="has 2 elements <b>"):
        root.one("b")
    with pytest.raises(RecordError, match="has 0 elements <d>"):
        root.value("d")
