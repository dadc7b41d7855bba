"""An article's XML cannot expand, include or exhaust anything, and may name its document type."""

from __future__ import annotations

import pytest

from osler.errors import RecordError
from osler.sources.pmc import article_xml
from osler.sources.pmc.article_xml import attribute, parse_xml

JATS = b'<!DOCTYPE article PUBLIC "-//NLM//DTD JATS//EN" "http://localhost:9/JATS.dtd">'


def text_of(data: bytes) -> str:
    return "".join(parse_xml(data).itertext())


@pytest.fixture(params=["as it is", "strict"])
def _both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs no strict reading is read by it all the same."""
    if request.param == "strict":
        monkeypatch.setattr(article_xml, "_is_plain", lambda data: False)


@pytest.mark.usefixtures("_both")
def test_a_document_type_is_read_over_and_shared_character_names_are_known() -> None:
    assert text_of(JATS + b"<article>a&nbsp;b &alpha; &lt; &#x2013;</article>") == "a\xa0b α < –"


@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>', "defines entities"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>', "defines entities"),
        (b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://localhost:9/x"> %b;]><a/>', "defines entities"),
        (b'<!DOCTYPE a [<!NOTATION g SYSTEM "g"><!ENTITY b SYSTEM "x" NDATA g>]><a/>', "defines entities"),
        (JATS + b"<article>&nosuch;</article>", "undefined entity &nosuch;"),
        (b"<a>&nbsp;</a>", "undefined entity"),
        (b'<?xml version="1.0" encoding="x-none"?><a/>', "encoding that cannot be read"),
        (b'<?xml version="1.0"?>' + JATS[:-1] + b' [<!ENTITY b "x">]><article/>', "defines entities"),
        (b"", "no element found"),
    ],
)
def test_what_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=reason) as caught:
        parse_xml(data)
    assert caught.value.line == 1


@pytest.mark.parametrize("encoding", ["cp037", "cp500", "utf-16", "utf-16-le", "utf-7", "cp1252"])
def test_no_encoding_hides_a_definition(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    for data in (text.encode(encoding), text[:40].encode() + text[40:].encode(encoding)):
        with pytest.raises(RecordError):
            parse_xml(data)


@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "cp1252"])
def test_encodings_that_are_stated_are_read(encoding: str) -> None:
    assert text_of(f'<?xml version="1.0" encoding="{encoding}"?><a>café</a>'.encode(encoding)) == "café"


def test_size_and_tags_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article_xml, "MAX_TAGS", 3)
    with pytest.raises(RecordError, match="has 4 tags"):
        parse_xml(b"<a><b></b></a>")
    monkeypatch.setattr(article_xml, "MAX_BYTES", 5)
    with pytest.raises(RecordError, match="has 14 bytes"):
        parse_xml(b"<a><b></b></a>")


def test_depth_does_not_break_anything() -> None:
    from osler.sources.pmc.texts import plain

    assert plain(parse_xml(b"<a>" * 100_000 + b"x" + b"</a>" * 100_000)) == "x"


@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize("declared", [b' xmlns:xl="http://x.org/y"', b"", b' xmlns="http://z" xmlns:xl="x"'])
def test_attributes_are_found_under_any_prefix(declared: bytes) -> None:
    element = parse_xml(b"<g" + declared + b' xl:href="a" id="b"/>')
    assert element.tag == "g"
    assert (attribute(element, "href"), attribute(element, "id"), attribute(element, "rid")) == ("a", "b", "")
