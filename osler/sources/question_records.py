"""What the readers of question data sets share: rows become records, and what is faulty is set aside.

Three rules hold for all of them: questions and answers are kept to the letter, but for white space around them; a row
that makes no record is listed with file, row, field and reason, never repaired or replaced; an id occurs once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osler.errors import RecordError, SourceError
from osler.record_atomic import atomic_write
from osler.record_files import write_records
from osler.record_validation import to_record
from osler.records import IMAGE_PLACEHOLDER, Record
from osler.sources.base import Fetched
from osler.sources.box_records import Aside

REJECTS = "rows.rejects.jsonl"


@dataclass(slots=True)
class QuestionRecords:
    """Records of one data set while it is read, and what was set aside.

    Args:
        images: folder that image paths are relative to.
        source: name of the source.
        licence: of the data.
        url: public home, or "".
        parts: records by name of the file that they go to, without suffix.
        aside: rows that make no record.
    """

    images: Path
    source: str
    licence: str
    url: str = ""
    parts: dict[str, list[Record]] = field(default_factory=dict)
    aside: list[Aside] = field(default_factory=list)
    _first: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def row(self, file: str | Path, line: int) -> Iterator[None]:
        """Set the row aside when the block raises a `RecordError`."""
        try:
            yield
        except RecordError as error:
            self.aside.append(Aside(Path(file).name, line, error.field, error.reason))

    def add(
        self,
        part: str,
        *,
        name: str,
        question: str,
        answer: str | None,
        images: Sequence[str],
        where: str,
        field: str = "id",
        system: str | None = None,
        image_first: bool = True,
        more: Sequence[tuple[str, str]] = (),
        subject: str | None = None,
        study: str | None = None,
        regions: Sequence[Mapping[str, Any]] = (),
        sizes: Sequence[tuple[int, int] | None] = (),
        tags: Mapping[str, str] | None = None,
        notes: Mapping[str, str | int | float | bool | None] | None = None,
        generator: str | None = None,
        split: str | None = None,
    ) -> Record:
        """Make the record of a row.

        Args:
            part: name of the file that it goes to, which is also its split unless `split` says otherwise.
            name: its id, without the name of the source.
            question: of the first user turn; a placeholder for each image is put before it.
            answer: reference; None for a record without one.
            images: paths relative to the image folder.
            where: file and row, for a second row of the same id.
            field: of the file that holds the id.
            system: text of a system turn.
            image_first: False puts the placeholders after the question, as LLaVA-Med's chat file does.
            more: further (question, answer) turns.
            subject: pseudonymous key of the patient.
            study: likewise.
            regions: as in record files.
            sizes: (width, height) of the images, where known.
            tags: of the record.
            notes: of the provenance.
            generator: of the text.
            split: official split.

        Raises:
            RecordError: the row makes no record, or its id occurred before; names the field.
        """
        shown = IMAGE_PLACEHOLDER + "\n"
        user = (
            shown * len(images) + question if image_first else question + ("\n" + IMAGE_PLACEHOLDER) * len(images)
        ).strip()
        turns = [{"role": "system", "text": system}] if system else []
        turns.append({"role": "user", "text": user})
        if answer is not None:
            turns.append({"role": "assistant", "text": answer})
        for asked, replied in more:
            turns += [{"role": "user", "text": asked}, {"role": "assistant", "text": replied}]
        known = list(sizes) or [None] * len(images)
        record = to_record(
            {
                "id": f"{self.source}-{name}",
                "images": [
                    {"path": path, **({"width": size[0], "height": size[1]} if size else {})}
                    for path, size in zip(images, known, strict=True)
                ],
                "turns": turns,
                "regions": [dict(region) for region in regions],
                "subject": subject,
                "study": study,
                "tags": dict(tags or {}),
                "provenance": {
                    "source": self.source,
                    "licence": self.licence,
                    "url": self.url or None,
                    "split": split or part,
                    "generator": generator,
                    "notes": dict(notes or {}),
                },
            }
        )
        if record.id in self._first:
            raise RecordError(f"{name!r} is already that of {self._first[record.id]}", field=field)
        self._first[record.id] = where
        self.parts.setdefault(part, []).append(record)
        return record

    def write(self, folder: Path, *, remarks: Sequence[str] = ()) -> Fetched:
        """Write a record file for each part, and the list of what was set aside.

        Raises:
            SourceError: no record was made; names the first reason.
        """
        if not any(self.parts.values()):
            first = self.aside[0] if self.aside else Aside(str(self.images), 1, None, "there is nothing to read")
            where = f"{first.field}: " if first.field else ""
            raise SourceError(f"no usable row; the first reason: {first.file}:{first.line}: {where}{first.reason}")
        folder.mkdir(parents=True, exist_ok=True)
        files = {f"{name}.jsonl": write_records(part, folder / f"{name}.jsonl") for name, part in self.parts.items()}
        rejects = folder / REJECTS
        rejects.unlink(missing_ok=True)  # of an earlier call
        said = list(remarks)
        if self.aside:
            with atomic_write(rejects) as stream:
                lines = (json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in self.aside)
                stream.write("".join(lines).encode())
            fields = Counter(row.field or "row" for row in self.aside).most_common(3)
            said.append("Commonest faulty fields: " + "; ".join(f"{name} ({count})" for name, count in fields))
        elsewhere = self.images.resolve() != folder.resolve()
        if elsewhere:
            said.append(f"Image paths are relative to {self.images}: pass it as the image folder.")
        return Fetched(
            folder,
            files,
            rejects={rejects.name: len(self.aside)} if self.aside else {},
            images=self.images if elsewhere else None,
            remarks=tuple(said),
        )
