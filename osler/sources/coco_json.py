"""The COCO annotation file: images, annotations with `bbox` [x, y, width, height] in pixels, categories.

Layout: "Data format" of the COCO data set (cocodataset.org/#format-data). `line` in what is set aside is the 1-based
position in the list that `field` begins with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osler.errors import RecordError
from osler.record_validation import parse_json
from osler.sources.box_records import BoxRecords, Mark


@dataclass(slots=True)
class CocoImage:
    """One entry of `images` with its annotations.

    Args:
        position: 1-based, in the list.
        path: `path` where the file has it (MS-CXR), else `file_name`.
        size: (width, height) as stated, or None.
        raw: the entry.
        marks: its boxes, with the annotation each came from.
        faulty: its annotations that were set aside.
    """

    position: int
    path: str
    size: tuple[int, int] | None
    raw: dict[str, Any]
    marks: list[tuple[Mark, dict[str, Any]]] = field(default_factory=list)
    faulty: list[dict[str, Any]] = field(default_factory=list)


def read_coco(path: Path, out: BoxRecords) -> list[CocoImage]:
    """Images in the order of the file; entries that make none are set aside in `out`.

    Raises:
        RecordError: when the file is no JSON object with the three lists.
    """
    try:
        data = parse_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), path=path)
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})", path=path) from error
    if not isinstance(data, dict):
        raise RecordError(f"holds a {type(data).__name__}, not an object with images and annotations", path=path)
    for name in ("images", "annotations", "categories"):
        if not isinstance(data.get(name), list):
            raise RecordError("want a list", path=path, field=name)
    labels = {
        item["id"]: str(item["name"])
        for item in data["categories"]
        if isinstance(item, dict) and {"id", "name"} <= set(item)
    }
    images: dict[Any, CocoImage] = {}
    for position, item in enumerate(data["images"], start=1):
        try:
            image = _image(position, item)
            if item["id"] in images:
                raise RecordError(f"{item['id']!r} is already that of image {images[item['id']].position}", field="id")
        except RecordError as error:
            out.set_aside(path, position, f"images.{error.field}", error.reason)
            continue
        images[item["id"]] = image
    for position, item in enumerate(data["annotations"], start=1):
        owner = images.get(item.get("image_id")) if isinstance(item, dict) else None
        try:
            if owner is None:
                raise RecordError("is of no image in the file", field="image_id")
            owner.marks.append((_mark(position, item, labels), item))
        except RecordError as error:
            out.set_aside(path, position, f"annotations.{error.field}", error.reason)
            if owner is not None:
                owner.faulty.append(item)
    return list(images.values())


def _image(position: int, item: Any) -> CocoImage:
    if not isinstance(item, dict) or not isinstance(item.get("id"), int | str):
        raise RecordError("want an object with an id", field="id")
    name = item.get("path") or item.get("file_name")
    if not isinstance(name, str) or not name:
        raise RecordError(f"is {name!r:.80}; want the name of a file", field="file_name")
    size = item.get("width"), item.get("height")
    whole = all(isinstance(side, int) and side > 0 for side in size)
    return CocoImage(position, name, (int(size[0]), int(size[1])) if whole else None, item)  # type: ignore[arg-type]


def _mark(position: int, item: dict[str, Any], labels: dict[Any, str]) -> Mark:
    if item.get("category_id") not in labels:
        raise RecordError(f"{item.get('category_id')!r} is no category of the file", field="category_id")
    if item.get("iscrowd") == 1:
        raise RecordError("is 1: a crowd is no single object", field="iscrowd")
    box = item.get("bbox")
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in box)
    ):
        raise RecordError(f"is {box!r:.80}; want [x, y, width, height]", field="bbox")
    x, y, width, height = (float(value) for value in box)
    return Mark(position, labels[item["category_id"]], (x, y, x + width, y + height))
