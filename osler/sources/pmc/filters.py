"""Which articles and figures are kept. Everything left out has a short code, by which it is counted, and a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from osler.errors import SourceError
from osler.images.files import DEFAULT_MAX_PIXELS
from osler.sources.pmc.jats import Article, Figure
from osler.sources.pmc.licences import REDISTRIBUTABLE, code_of
from osler.sources.pmc.metadata import Metadata

_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")
ANY = "any"


class Drop(NamedTuple):
    """Why something is left out."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for.

    Args:
        licences: codes to take; ("any",) for all, author manuscripts ("TDM") included.
        keep_retracted: take retracted articles too.
        keep_scanned: take articles whose text was recognised from scans.
        keep_third_party: take figures with a statement of rights of their own ("reproduced with permission").
        published_since: first date of publication, YYYY, YYYY-MM or YYYY-MM-DD; articles without a date are left out.
        published_until: last date.
        keywords: one of them must stand, as whole words in any case, in title, abstract, keywords or a caption.
        caption_keywords: one of them must stand in the figure's caption.
        languages: two-letter codes; articles that state none are taken. Empty: all.
        min_caption: characters.
        min_side: pixels of the shorter side.
        max_pixels: of a picture; more is refused before it is decoded.
        max_file_bytes: of a picture file.

    Raises:
        SourceError: a date or licence that is none, or a number out of range.
    """

    licences: tuple[str, ...] = REDISTRIBUTABLE
    keep_retracted: bool = False
    keep_scanned: bool = False
    keep_third_party: bool = False
    published_since: str = ""
    published_until: str = ""
    keywords: tuple[str, ...] = ()
    caption_keywords: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("en",)
    min_caption: int = 1
    min_side: int = 32
    max_pixels: int = DEFAULT_MAX_PIXELS
    max_file_bytes: int = 50_000_000

    def __post_init__(self) -> None:
        for date in (self.published_since, self.published_until):
            check_date(date)
        for licence in self.licences:
            if licence != ANY and code_of(licence) != licence:
                raise SourceError(
                    f"licence {licence!r} is unknown; want for instance 'CC BY', 'CC BY-NC-SA', 'CC0', any"
                )
        if not self.licences:
            raise SourceError("no licence is allowed; name at least one, or any")
        if min(self.min_caption, self.min_side, self.max_pixels, self.max_file_bytes) < 1:
            raise SourceError("min_caption, min_side, max_pixels and max_file_bytes: want 1 or more")

    def metadata(self, metadata: Metadata) -> Drop | None:
        """Whether an article is left out by its metadata."""
        if not metadata.open_access:
            return Drop("not-open-access", "the metadata do not say that it is open access")
        if metadata.retracted and not self.keep_retracted:
            return Drop("retracted", "the article is retracted")
        if metadata.scanned and not self.keep_scanned:
            return Drop("scanned", "its text was recognised from scanned pages")
        if not self._allows(metadata.licence):
            return Drop("licence", f"licence {metadata.licence or 'unstated'!r} is not asked for")
        return None

    def article(self, article: Article) -> Drop | None:
        """Whether an article is left out by what it says itself."""
        if article.licence and not self._allows(article.licence):
            return Drop("licence", f"the article itself states licence {article.licence!r}, which is not asked for")
        if self.languages and article.language and article.language not in self.languages:
            return Drop("language", f"language {article.language!r} is not asked for")
        since, until = self.published_since, self.published_until
        date = article.published
        if (since or until) and not date:
            return Drop("date", "it states no date of publication")
        if (since and date[: len(since)] < since[: len(date)]) or (until and date[: len(until)] > until):
            return Drop("date", f"published {date}")
        if self.keywords and not any(_has(text, self.keywords) for text in _texts(article)):
            return Drop("keyword", "holds none of the keywords")
        return None

    def figure(self, figure: Figure) -> Drop | None:
        """Whether a figure is left out by what the article says of it."""
        if not figure.graphics:
            return Drop("no-picture", "the figure names no picture")
        if len(figure.caption) < self.min_caption:
            return Drop("no-caption", f"the caption has {len(figure.caption)} characters, want {self.min_caption}")
        if figure.rights and not self.keep_third_party:
            code = code_of(figure.rights)
            if not code or not self._allows(code):
                return Drop("third-party", f"states rights of its own: {figure.rights[:120]}")
        if self.caption_keywords and not _has(figure.caption, self.caption_keywords):
            return Drop("caption-keyword", "the caption holds none of the keywords")
        return None

    def picture(self, width: int, height: int) -> Drop | None:
        """Whether a picture is left out by its size."""
        if min(width, height) < self.min_side:
            return Drop("small-picture", f"{width} x {height} pixels, want {self.min_side} or more a side")
        return None

    def _allows(self, licence: str) -> bool:
        return ANY in self.licences or code_of(licence) in self.licences


def check_date(text: str) -> None:
    """Refuse what is no date.

    Raises:
        SourceError: neither empty nor YYYY, YYYY-MM or YYYY-MM-DD.
    """
    if text and not _DATE.fullmatch(text):
        raise SourceError(f"{text!r} is no date; want YYYY, YYYY-MM or YYYY-MM-DD")


def _texts(article: Article) -> Iterator[str]:
    yield article.title
    yield article.abstract
    yield from article.keywords
    for figure in article.figures:
        yield figure.caption


def _has(text: str, words: tuple[str, ...]) -> bool:
    return _pattern(words).search(text) is not None


@lru_cache(maxsize=16)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    alternatives = "|".join(r"\s+".join(map(re.escape, word.split())) for word in words)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)
