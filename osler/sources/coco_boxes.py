"""`coco-boxes`: any data set in COCO's annotation layout (see `osler.sources.coco_json`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osler.sources.box_records import BoxRecords
from osler.sources.box_source import BoxSource, Layout, image_folder, number
from osler.sources.coco_json import read_coco


class CocoBoxesSource(BoxSource):
    """A COCO annotation file with its pictures."""

    name = "coco-boxes"
    title = "Boxes in COCO layout"
    licence = "of your data"
    url = "https://cocodataset.org/#format-data"
    layout: Layout = "documented"
    description = (
        "Pictures with boxes in one JSON file with images, annotations and categories. A picture without annotations "
        "becomes a record without regions."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "annotation file (JSON)",
        "images": "folder that file names are relative to (default: the folder of the file)",
        "split": "name of the split, for instance train; one annotation file holds one",
        "min_side": "boxes with a side under so many pixels are set aside (default 0)",
        "source": "name of the data set for the provenance (default: coco-boxes)",
        "licence": "of the data, for the provenance",
        "url": "home of the data, for the provenance",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """Records of all images of the file."""
        out = BoxRecords(
            image_folder(options, home.parent),
            options.get("source") or self.name,
            options.get("licence") or "unstated",
            options.get("url") or "",
            min_side=number(options, "min_side", 0),
        )
        for image in read_coco(home, out):
            out.add(
                image.path,
                [mark for mark, _ in image.marks],
                file=home,
                line=image.position,
                lost=len(image.faulty),
                stated=image.size,
                split=options.get("split") or None,
            )
        return out, []
