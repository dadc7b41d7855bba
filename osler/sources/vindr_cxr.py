"""`vindr-cxr`: chest X-rays that several radiologists boxed (Nguyen et al., Scientific Data 9:429, 2022).

`train.csv` of the public competition has the columns image_id, class_name, class_id, rad_id, x_min, y_min, x_max and
y_max; a row for each box, and for a reader who saw nothing the class "No finding" without numbers. Three of 17 readers
looked at each picture. Pictures are `<image_id>.dicom`, or PNG or JPEG copies of the same size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError
from osler.record_ids import stable_id
from osler.sources.box_records import BoxRecords, Mark
from osler.sources.box_source import BoxSource, Layout, choice, image_folder
from osler.sources.csv_rows import numbers, read_rows

BOX = ("x_min", "y_min", "x_max", "y_max")
COLUMNS = ("image_id", "class_name", "rad_id", *BOX)
NO_FINDING = "No finding"
SUFFIXES = ("", ".dicom", ".dcm", ".png", ".jpg", ".jpeg")


@dataclass(slots=True)
class _Reading:
    """What one reader says about one picture."""

    line: int
    marks: list[Mark] = field(default_factory=list)
    lost: int = 0
    nothing: bool = False


class VinDrCxrSource(BoxSource):
    """The training part of VinDr-CXR: one record for each picture and reader."""

    name = "vindr-cxr"
    title = "VinDr-CXR (chest X-ray, several readers)"
    licence = "PhysioNet Credentialed Health Data License 1.5.0"
    url = "https://physionet.org/content/vindr-cxr/"
    layout: Layout = "documented"
    description = (
        "Boxes of 14 findings by three readers a picture, from your copy. Readers differ: each has a record of his own "
        "(tag `reader`), or all are one (readers=together)."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "train.csv",
        "images": "folder of the pictures (default: train beside the file)",
        "readers": "apart: a record for each reader (default); together: one with all boxes, and none where a reader "
        "saw nothing and another something",
        "split": "name of the split (default: train)",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """Records of all pictures in the table."""
        apart = choice(options, "readers", ("apart", "together")) == "apart"
        out = BoxRecords(image_folder(options, home.parent / "train"), self.name, self.licence, self.url)
        readings: dict[tuple[str, str], _Reading] = {}
        for line, row in read_rows(home, COLUMNS):
            key = row["image_id"], row["rad_id"] if apart else "all"
            reading = readings.setdefault(key, _Reading(line))
            if row["class_name"] == NO_FINDING:
                reading.nothing = True
                if not any(row[column] for column in BOX):
                    continue
                out.set_aside(home, line, "class_name", f"is {NO_FINDING!r}, yet the row has a box")
                reading.lost += 1
                continue
            try:
                x1, y1, x2, y2 = numbers(row, BOX)
                reading.marks.append(Mark(line, row["class_name"], (x1, y1, x2, y2)))
            except RecordError as error:
                out.set_aside(home, line, error.field, error.reason)
                reading.lost += 1
        names = {path.name for path in out.images.iterdir()}
        for (image, reader), reading in readings.items():
            if reading.nothing and (reading.marks or reading.lost):
                who = f"reader {reader}" if apart else "a reader"
                out.set_aside(home, reading.line, "class_name", f"{image}: {who} saw nothing, and a box is there too")
                continue
            file = next((image + suffix for suffix in SUFFIXES if image + suffix in names), f"{image}{SUFFIXES[1]}")
            out.add(
                file,
                reading.marks,
                file=home,
                line=reading.line,
                key=(reader,),
                lost=reading.lost,
                study=stable_id(self.name, image),
                split=options.get("split") or "train",
                tags={"modality": "x-ray", "reader": reader},
            )
        return out, ["No patient numbers are published: a patient may stand on both sides of a split."]
