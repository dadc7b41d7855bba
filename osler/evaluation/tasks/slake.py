"""`slake`: SLAKE's test questions, in English or in Chinese."""

from __future__ import annotations

from osler.evaluation.tasks.published import Published
from osler.sources.slake import LANGUAGES


class Slake(Published):
    """SLAKE (Liu et al., ISBI 2021). Records have the organs' boxes as regions, with the mask beside them.

    The convention is the language. The word lists behind several protocols are English: of Chinese answers,
    `strict-exact-match` alone says something.
    """

    name = "slake"
    description = "SLAKE: questions on CT, MR and X-ray pictures in two languages (Liu et al. 2021)"
    conventions = LANGUAGES
    convention_tag = "language"
    groups = ("organ", "modality", "knowledge")
    layout = "documented"
    source = "slake"

    def protocols_of(self, convention: str) -> tuple[str, ...]:
        """All for English; what does not need English words for Chinese."""
        return self.protocols if convention == "en" else ("strict-exact-match",)


TASK = Slake()
