"""What is kept and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from osler.errors import SourceError
from osler.sources.pmc.filters import Filters
from osler.sources.pmc.jats import parse_article
from osler.sources.pmc.keys import Version
from osler.sources.pmc.metadata import Metadata, parse_metadata

FIELDS: dict[str, Any] = {"pmcid": "PMC1", "is_pmc_openaccess": True, "is_retracted": False, "license_code": "CC BY"}


def metadata(**changes: Any) -> Metadata:
    return parse_metadata(json.dumps({**FIELDS, **changes}).encode(), Version(1, 1))


def article(**changes: str) -> Any:
    given = {"lang": "en", "year": "2020", "caption": "Axial CT.", "title": "On lungs", "licence": "", **changes}
    return parse_article(
        f'<article xml:lang="{given["lang"]}"><front><article-meta><title-group><article-title>{given["title"]}'
        f"</article-title></title-group><pub-date><month>5</month><year>{given['year']}</year></pub-date><permissions>"
        f"<license><license-p>{given['licence']}</license-p></license></permissions></article-meta></front><body>"
        f"<fig id='F1'><caption><p>{given['caption']}</p></caption><graphic href='a'/></fig></body></article>".encode()
    )


@pytest.mark.parametrize(
    ("changes", "options", "code"),
    [
        ({}, {}, None),
        ({"is_retracted": True}, {}, "retracted"),
        ({"is_retracted": True}, {"keep_retracted": True}, None),
        ({"is_retracted": "yes"}, {}, None),  # of a wrong type: absent
        ({"is_historical_ocr": True}, {}, "scanned"),
        ({"is_pmc_openaccess": False}, {}, "not-open-access"),
        ({"is_pmc_openaccess": None}, {}, "not-open-access"),
        ({"license_code": "CC BY-NC"}, {}, "licence"),
        ({"license_code": "CC BY-NC"}, {"licences": ("CC BY-NC",)}, None),
        ({"license_code": None}, {}, "licence"),
        ({"license_code": "TDM"}, {}, "licence"),
        ({"license_code": "TDM"}, {"licences": ("any",)}, None),
    ],
)
def test_by_metadata(changes: dict[str, Any], options: dict[str, Any], code: str | None) -> None:
    drop = Filters(**options).metadata(metadata(**changes))
    assert (drop and drop.code) == code


@pytest.mark.parametrize(
    ("changes", "options", "code"),
    [
        ({}, {}, None),
        ({"licence": "CC BY-ND"}, {}, "licence"),
        ({"lang": "fr"}, {}, "language"),
        ({"lang": "fr"}, {"languages": ()}, None),
        ({"lang": ""}, {}, None),
        ({}, {"published_since": "2020-05"}, None),
        ({}, {"published_since": "2020-06"}, "date"),
        ({}, {"published_since": "2020-05-20"}, None),  # the day is not stated
        ({}, {"published_until": "2020"}, None),
        ({}, {"published_until": "2019"}, "date"),
        ({"year": "x"}, {"published_since": "2000"}, "date"),
        ({}, {"keywords": ("lungs",)}, None),
        ({}, {"keywords": ("axial ct",)}, None),
        ({}, {"keywords": ("lung",)}, "keyword"),  # whole words
    ],
)
def test_by_article(changes: dict[str, str], options: dict[str, Any], code: str | None) -> None:
    drop = Filters(**options).article(article(**changes))
    assert (drop and drop.code) == code


@pytest.mark.parametrize(
    ("caption", "options", "code"),
    [
        ("Axial CT.", {"caption_keywords": ("CT", "MRI")}, None),
        ("Axial ct.", {"caption_keywords": ("CT",)}, None),
        ("Octopus.", {"caption_keywords": ("CT",)}, "caption-keyword"),
        ("", {}, "no-caption"),
        ("Short.", {"min_caption": 10}, "no-caption"),
        ("CT, adapted with kind permission from X.", {}, "third-party"),
        ("CT, adapted with permission from X.", {"keep_third_party": True}, None),
        ("CT, reproduced with permission under CC BY 4.0.", {}, "third-party"),
    ],
)
def test_by_figure(caption: str, options: dict[str, Any], code: str | None) -> None:
    drop = Filters(**options).figure(article(caption=caption).figures[0])
    assert (drop and drop.code) == code


@pytest.mark.parametrize(
    "options", [{"licences": ("CC-BY",)}, {"licences": ()}, {"published_since": "May 2020"}, {"min_side": 0}]
)
def test_nonsense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SourceError):
        Filters(**options)
