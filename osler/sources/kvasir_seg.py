"""`kvasir-seg`: polyps in colonoscopy with masks and boxes (Jha et al., MultiMedia Modeling 2020, arXiv 1911.07069).

Kvasir-SEG/images/NAME.jpg
Kvasir-SEG/masks/NAME.jpg            white where the polyp is, with the noise of JPEG
Kvasir-SEG/kavsir_bboxes.json        (its published name) {NAME: {"height", "width", "bbox": [{"label", "xmin",
                                     "ymin", "xmax", "ymax"}, ...]}}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from osler.errors import ImageError, RecordError
from osler.mask_boxes import MIN_BOX_PIXELS, mask_boxes
from osler.record_validation import parse_json
from osler.sources.box_records import BoxRecords, Mark
from osler.sources.box_source import BoxSource, Layout, choice, existing, image_folder, number
from osler.sources.csv_rows import finite

FILE = "kavsir_bboxes.json"
LABEL = "polyp"
THRESHOLD = 128
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class KvasirSegSource(BoxSource):
    """Polyps with the published boxes, or boxes of the masks."""

    name = "kvasir-seg"
    title = "Kvasir-SEG (polyps, endoscopy)"
    licence = "research and education only; see the publisher's terms"
    url = "https://datasets.simula.no/kvasir-seg/"
    layout: Layout = "documented"
    description = "1,000 pictures of polyps with masks and boxes, from your copy."
    options: ClassVar[Mapping[str, str]] = {
        "from": f"folder that holds images/, masks/ and {FILE}",
        "images": "folder that image paths are relative to (default: the same folder)",
        "boxes": "file: the published boxes (default); masks: of each connected part of the mask",
        "smallest": f"parts of a mask with fewer pixels are noise (default {MIN_BOX_PIXELS})",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """One record for each picture."""
        out = BoxRecords(image_folder(options, home), self.name, self.licence, self.url, labels=(LABEL,))
        tags = {"modality": "endoscopy"}
        if choice(options, "boxes", ("file", "masks")) == "masks":
            smallest = int(number(options, "smallest", MIN_BOX_PIXELS))
            masks = existing(home / "masks", "Kvasir-SEG has a folder masks/ beside images/")
            for position, path in enumerate(sorted(masks.iterdir()), start=1):
                try:
                    marks, size = _of_mask(path, position, smallest)
                except ImageError as error:
                    out.set_aside(path, position, "mask", error.reason or str(error))
                    continue
                out.add(f"images/{path.name}", marks, file=path, line=position, stated=size, tags=tags)
            return out, [f"Boxes of the connected parts of each mask with at least {smallest} pixels."]
        path = existing(home / FILE, "Kvasir-SEG has this file (so spelt) beside images/")
        entries = parse_json(path.read_bytes(), path=path)
        if not isinstance(entries, dict):
            raise RecordError(f"holds a {type(entries).__name__}, not an object with a picture's name each", path=path)
        for position, (name, entry) in enumerate(entries.items(), start=1):
            try:
                marks, size = _of_entry(entry, position)
            except RecordError as error:
                out.set_aside(path, position, error.field, f"{name}: {error.reason}")
                continue
            out.add(f"images/{name}.jpg", marks, file=path, line=position, stated=size, tags=tags)
        return out, []


def _of_entry(entry: Any, position: int) -> tuple[list[Mark], tuple[int, int]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("bbox"), list) or not entry["bbox"]:
        raise RecordError("want an object with a list of boxes", field="bbox")
    marks = []
    for item in entry["bbox"]:
        if not isinstance(item, dict):
            raise RecordError(f"holds {item!r:.80}; want objects", field="bbox")
        x1, y1, x2, y2 = (finite(str(item.get(corner)), corner) for corner in _CORNERS)
        marks.append(Mark(position, str(item.get("label")), (x1, y1, x2, y2)))
    return marks, (int(finite(str(entry.get("width")), "width")), int(finite(str(entry.get("height")), "height")))


def _of_mask(path: Path, position: int, smallest: int) -> tuple[list[Mark], tuple[int, int]]:
    from osler.images import load_image

    grey = np.asarray(load_image(path).image.convert("L"))
    boxes = mask_boxes(grey >= THRESHOLD, smallest=smallest)
    if not boxes:
        raise ImageError(path, f"holds no part of at least {smallest} pixels")
    return [Mark(position, LABEL, box.xyxy()) for box in boxes], (grey.shape[1], grey.shape[0])
