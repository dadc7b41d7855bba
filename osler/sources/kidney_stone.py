"""`kidney-stone`: kidney stones on CT in YOLO's text layout, as most public copies have it.

    train/images/NAME.jpg   valid/images/   test/images/
    train/labels/NAME.txt   one box a line: class, centre x, centre y, width, height, as shares of the picture
    data.yaml               names: [...]    (the copy of 1,054 + 123 + 123 pictures has the one class "Tas_Var")

1,300 is the number that UMed-LVLM's sources state; that this copy is the one used there is not established, and its
home does not say which patients it shows. Copies made with augmentation name files `STEM.rf.HASH.jpg`: pictures of one
STEM share a study key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError, SourceError
from osler.record_ids import stable_id
from osler.sources.box_records import BoxRecords, Mark
from osler.sources.box_source import BoxSource, Layout, image_folder
from osler.sources.csv_rows import finite

FOLDERS = {"train": "train", "valid": "val", "val": "val", "test": "test"}
SUFFIXES = (".jpg", ".jpeg", ".png")
FIELDS = ("class", "x", "y", "width", "height")


class KidneyStoneSource(BoxSource):
    """YOLO text files with their pictures."""

    name = "kidney-stone"
    title = "Kidney stones (CT), YOLO layout"
    licence = "unstated"
    url = ""
    layout: Layout = "not verified"
    description = (
        "Kidney stones on CT slices, boxes as YOLO text files. An empty text file means no stone; a picture without "
        "one is set aside."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds train/, valid/, test/ with images/ and labels/",
        "images": "folder that image paths are relative to (default: the same folder)",
        "labels": "comma list of names for the classes 0, 1, ... (default: kidney stone)",
        "source": "name of the data set for the provenance (default: kidney-stone)",
        "licence": "of your copy, for the provenance",
        "url": "home of your copy, for the provenance",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """One record for each picture that has a text file."""
        labels = [text.strip() for text in str(options.get("labels") or "kidney stone").split(",")]
        name = options.get("source") or self.name
        out = BoxRecords(
            image_folder(options, home), name, options.get("licence") or self.licence, options.get("url") or self.url
        )
        pictures = 0
        for folder, split in FOLDERS.items():
            for image in sorted((home / folder / "images").glob("*")):
                if image.suffix.lower() not in SUFFIXES:
                    continue
                pictures += 1
                _add(out, home, image, split, labels, name)
        if not pictures:
            raise SourceError(f"{home}: holds no pictures in train/images, valid/images or test/images")
        return out, [f"Layout {self.layout}; look at the boxes before you train (osler data show)."]


def _add(out: BoxRecords, home: Path, image: Path, split: str, labels: list[str], source: str) -> None:
    text = image.parent.parent / "labels" / f"{image.stem}.txt"
    relative = image.relative_to(home).as_posix()
    try:
        lines = text.read_text(encoding="utf-8").splitlines()
        size = out.size(relative)
    except (OSError, UnicodeDecodeError):
        out.set_aside(text, 1, None, f"{relative}: has no readable text file: no stone, or never looked at?")
        return
    except RecordError as error:
        out.set_aside(image, 1, error.field, error.reason)
        return
    marks, lost = [], 0
    for line, row in enumerate(lines, start=1):
        if not row.strip():
            continue
        try:
            marks.append(_mark(line, row, labels, size))
        except RecordError as error:
            out.set_aside(text, line, error.field, f"{relative}: {error.reason}")
            lost += 1
    stem = image.stem.split(".rf.")[0]
    study = stable_id(source, stem)
    out.add(relative, marks, file=text, line=1, lost=lost, study=study, split=split, tags={"modality": "ct"})


def _mark(line: int, row: str, labels: list[str], size: tuple[int, int]) -> Mark:
    cells = row.split()
    if len(cells) != len(FIELDS):
        what = "; a polygon is no box" if len(cells) > len(FIELDS) else ""
        raise RecordError(f"has {len(cells)} numbers, want {len(FIELDS)}{what}")
    if not cells[0].isdecimal() or int(cells[0]) >= len(labels):
        raise RecordError(
            f"is {cells[0]!r}, but there are names for {len(labels)} classes; give labels=", field="class"
        )
    x, y, width, height = (finite(text, field) for text, field in zip(cells[1:], FIELDS[1:], strict=True))
    corners = (
        (x - width / 2) * size[0],
        (y - height / 2) * size[1],
        (x + width / 2) * size[0],
        (y + height / 2) * size[1],
    )
    return Mark(line, labels[int(cells[0])], corners)
