"""`bccd-grounding`: find blood cells, a smoke test on real pictures with expert boxes."""

from __future__ import annotations

from collections.abc import Sequence

from osler.evaluation.tasks.grounding import Grounding
from osler.evaluation.tasks.region_items import region_items
from osler.records import Record


class BccdGrounding(Grounding):
    """Blood smears of the BCCD data set (MIT licence). `data` is the folder that `osler data get pascal-voc` wrote.

    Convention `wbc` asks for white cells only, one or a few a picture; `all` for red cells and platelets too, often
    more than twenty, for which answers need a far greater length limit. "Abnormality" is the word of the fixed
    question; a white cell is none. A picture without a cell of the kind counts as one that shows nothing.
    """

    name = "bccd-grounding"
    description = "BCCD blood smears: boxes of white cells, or of all cells"
    conventions = ("wbc", "all")
    layout = "verified"
    source = "pascal-voc"

    def items(self, records: Sequence[Record], convention: str) -> list[Record]:
        """One item for each picture, made from its regions whatever its records ask."""
        return region_items(
            records, keeps=lambda label: self.keeps(label, convention), shows_nothing=self.shows_nothing
        )

    def keeps(self, label: str, convention: str) -> bool:
        """White cells, or all."""
        return convention == "all" or label.strip().casefold() == "wbc"

    def shows_nothing(self, record: Record) -> bool:
        """All cells of a picture are annotated."""
        return True


TASK = BccdGrounding()
