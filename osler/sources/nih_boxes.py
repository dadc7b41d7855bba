"""`nih-boxes`: the 984 boxes on 880 pictures of the NIH chest X-rays (ChestX-ray8; Wang et al., CVPR 2017).

`BBox_List_2017.csv` begins with the line `Image Index,Finding Label,Bbox [x,y,w,h],,,`: a header whose column "Bbox
[x,y,w,h]" falls into four at its commas. x, y, w, h are in pixels of the 1024 x 1024 PNG. Picture names begin with the
patient's number: `00013118_008.png`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError
from osler.record_ids import stable_id
from osler.sources.box_records import BoxRecords, Mark
from osler.sources.box_source import BoxSource, Layout, image_folder
from osler.sources.csv_rows import numbers, read_rows

LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltrate",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
)
BOX = ("Bbox [x", "y", "w", "h]")
FILE = "BBox_List_2017.csv"


class NihBoxesSource(BoxSource):
    """Findings that NIH's radiologist boxed."""

    name = "nih-boxes"
    title = "NIH ChestX-ray boxes"
    licence = "free to use with attribution; see the publisher's terms"
    url = "https://nihcc.app.box.com/v/ChestXray-NIHCC"
    layout: Layout = "documented"
    description = (
        "984 boxes of eight findings on 880 chest X-rays, from your copy. Other findings of a picture have no box."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": FILE,
        "images": "folder of the PNG files (default: images beside the file)",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """One record for each picture in the list."""
        out = BoxRecords(
            image_folder(options, home.parent / "images"), self.name, self.licence, self.url, labels=LABELS
        )
        marks: dict[str, list[Mark]] = {}
        lost: dict[str, int] = {}
        lines: dict[str, int] = {}
        for line, row in read_rows(home, ("Image Index", "Finding Label", *BOX)):
            image = row["Image Index"]
            lines.setdefault(image, line)
            try:
                x, y, width, height = numbers(row, BOX)
            except RecordError as error:
                out.set_aside(home, line, error.field, error.reason)
                lost[image] = lost.get(image, 0) + 1
                continue
            marks.setdefault(image, []).append(Mark(line, row["Finding Label"], (x, y, x + width, y + height)))
        for image, line in lines.items():
            out.add(
                image,
                marks.get(image, []),
                file=home,
                line=line,
                lost=lost.get(image, 0),
                subject=stable_id(self.name, image.split("_")[0]),
                tags={"modality": "x-ray", "regions": "partial"},
            )
        return out, ["No split: split by subject (osler.record_files.split_records)."]
