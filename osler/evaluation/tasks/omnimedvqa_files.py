"""Reading OmniMedVQA for the tasks that ask it: as written by the source, or straight from the published folder."""

from __future__ import annotations

from pathlib import Path

from osler.errors import EvaluationError
from osler.evaluation.tasks.records import Records
from osler.records import Record
from osler.sources import omnimedvqa


class OmniMedVqaFiles(Records):
    """Adds the published layout to a task that reads record files."""

    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Records of the split's file, or all rows of the published open-access part when `split` is "test".

        Raises:
            EvaluationError: when there is no such split.
            RecordError, SourceError: for bad lines and rows.
        """
        # record files first: the source may have written them beside the question files, without the bad rows
        if self._file(data, split) or not omnimedvqa.is_layout(data):
            return super().load(data, split=split, convention=convention)
        if split != "test":
            raise EvaluationError(f"{data}: OmniMedVQA has no split {split!r}; all of it is for testing")
        return omnimedvqa.read(data)
