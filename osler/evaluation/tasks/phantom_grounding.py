"""`phantom-grounding`: find and name the findings of phantom studies."""

from __future__ import annotations

from osler.evaluation.tasks.grounding import Grounding
from osler.records import Record


class PhantomGrounding(Grounding):
    """Phantom pictures, one question each. `data` is the folder that `osler data get phantom` wrote."""

    name = "phantom-grounding"
    description = "Phantom studies: where the findings are and what they are"

    def shows_nothing(self, record: Record) -> bool:
        """Every record of a phantom picture has all its findings as regions."""
        return not record.regions


TASK = PhantomGrounding()
