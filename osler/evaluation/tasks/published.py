"""What the tasks of public data sets share: their records are what `osler data get NAME` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from osler.errors import EvaluationError
from osler.evaluation.tasks.records import Records
from osler.records import Record


class Published(Records):
    """Record files of a public data set, in which a convention may be a part of the records.

    `data` is the folder that `osler data get <source>` wrote. Where `convention_tag` is set, the records of a
    convention are those whose tag of that name is the convention's.
    """

    convention_tag: ClassVar[str] = ""
    strict: tuple[str, ...] = ("strict-exact-match",)

    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Records of the split and convention.

        Raises:
            EvaluationError: when there is no file of that split.
            RecordError: for a bad line.
        """
        if self._file(data, self.part(split, convention)) is None:
            source = self.source_of(convention)
            raise EvaluationError(
                f"{data}: no {self.part(split, convention)}.jsonl; `osler data get {source} {data}` writes it, and "
                f"`osler data list {source}` tells what that needs"
            )
        records = super().load(data, split=self.part(split, convention), convention=convention)
        if not self.convention_tag:
            return records
        return [record for record in records if record.tags.get(self.convention_tag) == convention]

    def source_of(self, convention: str) -> str:
        """Source that writes the records of a convention."""
        return self.source

    def part(self, split: str, convention: str) -> str:
        """Name of the record file of a split under a convention."""
        return split
