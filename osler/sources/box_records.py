"""What the readers of box data sets share: pictures with marks become records, and what is faulty is set aside.

A record of such a source shows one picture and holds its regions; its only turn is `<image>`, because these data sets
ask nothing. `osler instruct abnormality` (`osler.instruct.abnormality`) writes question and answer from the regions.

Three rules hold for all of them:

- a mark that is no box on its picture is listed with file, line and reason; the picture keeps its other boxes and says
  so in its notes (`boxes_set_aside`);
- a picture that loses all its marks is set aside as a whole: without boxes it would pass for a normal one;
- nothing is clipped, shifted or guessed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from osler.boxes import Box
from osler.errors import BoxError, ImageError, RecordError, SourceError
from osler.record_atomic import atomic_write
from osler.record_files import resolve_image, write_records
from osler.record_ids import stable_id
from osler.records import IMAGE_PLACEHOLDER, ImageRef, Provenance, Record, Region, Turn
from osler.sources.base import Fetched

SET_ASIDE = "boxes_set_aside"
REJECTS = "boxes.rejects.jsonl"
_ORDER = ("train", "dev", "test")
SPLITS = {"train": "train", "training": "train", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}


class Mark(NamedTuple):
    """A box as a data set states it, brought to pixel corners.

    Args:
        line: 1-based line of the file that states it (or position in its list).
        label: what is in it.
        corners: x1, y1, x2, y2 in pixels from the top left edge of the picture; x2 and y2 exclusive.
    """

    line: int
    label: str
    corners: tuple[float, float, float, float]


class Aside(NamedTuple):
    """A line that makes no box or no record.

    Args:
        file: name of the file it stands in.
        line: 1-based.
        field: column or element.
        reason: with the offending value.
    """

    file: str
    line: int
    field: str | None
    reason: str


@dataclass(slots=True)
class BoxRecords:
    """Records of one data set while it is read, and what was set aside.

    Args:
        images: folder that image paths are relative to.
        source: name of the source.
        licence: of the data.
        url: public home, or "".
        labels: the only labels that are accepted; empty for any.
        min_side: marks with a side under so many pixels are set aside.
    """

    images: Path
    source: str
    licence: str
    url: str = ""
    labels: Sequence[str] = ()
    min_side: float = 0.0
    records: list[Record] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def set_aside(self, file: str | Path, line: int, field: str | None, reason: str) -> None:
        """Remember a line that makes no box or no record."""
        self.aside.append(Aside(Path(file).name, line, field, reason))

    def size(self, image: str) -> tuple[int, int]:
        """(width, height) of a picture in pixels.

        Raises:
            RecordError: when it is absent, no picture, or outside the image folder.
        """
        from osler.images import image_size

        if image not in self._sizes:
            path = resolve_image(self.images, image)
            try:
                self._sizes[image] = image_size(path)
            except ImageError as error:
                raise RecordError(f"{image!r} in {self.images}: {error.reason}", field="image") from error
        return self._sizes[image]

    def region(self, mark: Mark, size: tuple[int, int]) -> Region:
        """The region of a mark on a picture of (width, height).

        Raises:
            RecordError: unknown label, no box, too small.
        """
        if not mark.label.strip():
            raise RecordError("is empty", field="label")
        if self.labels and mark.label not in self.labels:
            raise RecordError(f"{mark.label!r} is unknown; known: {', '.join(self.labels)}", field="label")
        try:
            box = Box(*mark.corners, *size)
        except BoxError as error:
            raise RecordError(str(error), field="box") from error
        width, height = box.x2 - box.x1, box.y2 - box.y1
        if min(width, height) < self.min_side:
            raise RecordError(
                f"is {width:g} x {height:g} pixels, a click rather than a box; min_side=0 keeps it", field="box"
            )
        return Region(box=box, label=mark.label)

    def add(
        self,
        image: str,
        marks: Sequence[Mark],
        *,
        file: str | Path,
        line: int,
        lost: int = 0,
        key: Sequence[str | int] = (),
        stated: tuple[int, int] | None = None,
        window: Mapping[str, float | str] | None = None,
        frame: int | None = None,
        subject: str | None = None,
        study: str | None = None,
        split: str | None = None,
        tags: Mapping[str, str] | None = None,
        notes: Mapping[str, str | int | float | bool | None] | None = None,
    ) -> Record | None:
        """Make the record of a picture, or set it aside.

        Args:
            image: path relative to the image folder.
            marks: its boxes; none for a picture that is known to show nothing.
            file: that describes it.
            line: where in that file.
            lost: how many of its boxes the reader has set aside already.
            key: what tells this record from another of the same picture.
            stated: (width, height) by the data set, compared with the file's.
            window: for `ImageRef.window`.
            frame: for `ImageRef.frame`.
            subject: pseudonymous key.
            study: likewise.
            split: official split; "val" becomes "dev".
            tags: of the record.
            notes: of the provenance.

        Returns:
            The record, which also stands in `records`, or None when the picture was set aside.
        """
        try:
            size = self.size(image)
            if stated is not None and stated != size:
                raise RecordError(
                    f"{image!r} is {size[0]} x {size[1]} pixels, its annotation was made on {stated[0]} x {stated[1]}",
                    field="size",
                )
        except RecordError as error:
            self.set_aside(file, line, error.field, error.reason)
            return None
        regions = []
        for mark in marks:
            try:
                regions.append(self.region(mark, size))
            except RecordError as error:
                self.set_aside(file, mark.line, error.field, f"{image}: {error.reason}")
        lost += len(marks) - len(regions)
        if lost and not regions:
            self.set_aside(
                file, line, "box", f"{image}: none of its {lost} boxes is usable, so the picture is left out"
            )
            return None
        record = Record(
            id=stable_id(self.source, image, frame, *key),
            images=(
                ImageRef(
                    path=image,
                    width=size[0],
                    height=size[1],
                    frame=frame,
                    window=None if window is None else dict(window),
                ),
            ),
            turns=(Turn(role="user", text=IMAGE_PLACEHOLDER),),
            regions=tuple(regions),
            subject=subject,
            study=study,
            tags=dict(tags or {}),
            provenance=Provenance(
                source=self.source,
                licence=self.licence,
                url=self.url or None,
                split=None if split is None else SPLITS.get(split.lower(), split),
                generator="human",
                notes={**(notes or {}), **({SET_ASIDE: lost} if lost else {})},
            ),
        )
        if record.id in self._ids:
            self.set_aside(file, line, "image", f"{image}: stands in an earlier entry already")
            return None
        self._ids.add(record.id)
        self.records.append(record)
        return record

    def write(self, folder: Path, *, remarks: Iterable[str] = ()) -> Fetched:
        """Write `train.jsonl` and so on (`records.jsonl` for records without split) and the list of what was set aside.

        Raises:
            SourceError: no record was made; names the first reason.
        """
        if not self.records:
            first = self.aside[0] if self.aside else Aside(str(self.images), 1, None, "there is nothing to read")
            raise SourceError(f"no usable picture; the first reason: {first.file}:{first.line}: {first.reason}")
        folder.mkdir(parents=True, exist_ok=True)
        parts: dict[str, list[Record]] = {}
        for record in self.records:
            parts.setdefault(record.provenance.split or "records", []).append(record)
        order = sorted(parts, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
        files = {f"{name}.jsonl": write_records(parts[name], folder / f"{name}.jsonl") for name in order}
        rejects = folder / REJECTS
        rejects.unlink(missing_ok=True)  # of an earlier call
        if self.aside:
            with atomic_write(rejects) as stream:
                stream.write(
                    "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in self.aside).encode()
                )
        elsewhere = self.images.resolve() != folder.resolve()
        said = [count_labels(self.records), *remarks]
        if elsewhere:
            said.append(f"Image paths are relative to {self.images}: pass it as the image folder.")
        return Fetched(
            folder,
            files,
            rejects={rejects.name: len(self.aside)} if self.aside else {},
            images=self.images if elsewhere else None,
            remarks=tuple(said),
        )


def count_labels(records: Iterable[Record]) -> str:
    """One sentence: how many boxes of which labels on how many pictures, and how many pictures without."""
    labels: Counter[str] = Counter()
    marked: set[tuple[str, int | None]] = set()
    seen: set[tuple[str, int | None]] = set()
    for record in records:
        keys = {(image.path, image.frame) for image in record.images}
        seen |= keys
        if record.regions:
            marked |= keys
        labels.update(region.label for region in record.regions)
    listed = ", ".join(f"{label} {count}" for label, count in labels.most_common(20))
    more = f" and {len(labels) - 20} further labels" if len(labels) > 20 else ""
    bare = len(seen) - len(marked)
    return f"{labels.total()} boxes on {len(marked)} pictures ({listed}{more}); {bare} pictures without."
