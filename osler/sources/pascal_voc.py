"""`pascal-voc`: a folder in the layout of the PASCAL VOC challenges, for instance the BCCD blood smears.

    JPEGImages/NAME.jpg             (or images=FOLDER)
    Annotations/NAME.xml            one a picture: <filename>, <size>, and for each object <name> and <bndbox>
    ImageSets/Main/train.txt ...    names without suffix, one a line; train, val, trainval, test

Layout and coordinates: the development kit of VOC 2012 (host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc), which counts
pixels from 1 and includes the last one: a box over a whole picture of 640 x 480 is 1, 1, 640, 480. That is `origin=1`,
the default. In the BCCD files no coordinate is 0 and the largest are 640 and 480, which fits. Tools that write edges
counted from 0 into the same elements need `origin=0`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from osler.errors import RecordError
from osler.sources.box_records import BoxRecords, Mark
from osler.sources.box_source import BoxSource, Layout, choice, existing, image_folder, number
from osler.sources.safe_xml import Element, read_xml

Origin = Literal[0, 1]
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
MIN_SIDE = 2.0


def read(
    folder: Path,
    images: Path,
    *,
    origin: Origin = 1,
    min_side: float = MIN_SIDE,
    source: str = "pascal-voc",
    licence: str = "unstated",
    url: str = "",
) -> BoxRecords:
    """Records of all annotation files, in the order of their names.

    Args:
        folder: that holds `Annotations` and perhaps `ImageSets`.
        images: folder of the pictures.
        origin: number of the first pixel: 1 (VOC: the last pixel is included) or 0 (edges, the last one exclusive).
        min_side: boxes with a side under so many pixels are set aside.
        source: for the provenance.
        licence: likewise.
        url: likewise.

    Raises:
        SourceError: when there are no annotations.
    """
    annotations = existing(folder / "Annotations", "a VOC folder has Annotations/ with one XML file a picture")
    out = BoxRecords(images, source, licence, url, min_side=min_side)
    files = {path.stem: path for path in sorted(annotations.glob("*.xml"))}
    splits = _splits(folder / "ImageSets" / "Main", files, out)
    for stem, path in files.items():
        try:
            root = read_xml(path)
            name = root.value("filename")
            marks, bad = _marks(root, origin, path, out)
            stated = _size(root)
        except RecordError as error:
            out.set_aside(path, error.line or 1, error.field, error.reason)
            continue
        out.add(name, marks, file=path, line=1, stated=stated, lost=bad, split=splits.get(stem))
    return out


def _marks(root: Element, origin: Origin, path: Path, out: BoxRecords) -> tuple[list[Mark], int]:
    """The objects that can be read, and how many cannot."""
    marks, bad = [], 0
    for item in root.all("object"):
        try:
            label, box = item.value("name"), item.one("bndbox")
            x1, y1, x2, y2 = (_number(box, corner) for corner in _CORNERS)
        except RecordError as error:
            out.set_aside(path, error.line or item.line, error.field, error.reason)
            bad += 1
            continue
        marks.append(Mark(box.line, label, (x1 - origin, y1 - origin, x2, y2)))
    return marks, bad


def _number(parent: Element, tag: str) -> float:
    text = parent.value(tag)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RecordError(f"is {text!r}; want a number of pixels", line=parent.one(tag).line, field=tag)
    return number


def _size(root: Element) -> tuple[int, int] | None:
    """(width, height) as stated; None without <size>, or with the zeros that some tools write there."""
    if not root.all("size"):
        return None
    size = root.one("size")
    width, height = _number(size, "width"), _number(size, "height")
    return (int(width), int(height)) if width and height else None


def _splits(folder: Path, files: Mapping[str, Path], out: BoxRecords) -> dict[str, str]:
    """Split by name. A name in two lists stays in the first of test, val, train; the other line is set aside."""
    found: dict[str, str] = {}
    lists = [folder / f"{name}.txt" for name in ("test", "val", "train")]
    if not (lists[1].is_file() or lists[2].is_file()):
        lists.append(folder / "trainval.txt")
    for path in lists:
        if not path.is_file():
            continue
        split = "train" if path.stem == "trainval" else path.stem
        for line, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            name = text.split()[0] if text.strip() else ""  # lists of one class have a second column, 1 or -1
            if not name:
                continue
            if name not in files:
                out.set_aside(path, line, None, f"{name!r} has no annotation file")
            elif found.get(name, split) != split:
                out.set_aside(path, line, None, f"{name!r} already stands in the list of {found[name]!r}")
            else:
                found[name] = split
    return found


class PascalVocSource(BoxSource):
    """A folder in VOC layout."""

    name = "pascal-voc"
    title = "Boxes in PASCAL VOC layout (BCCD ...)"
    licence = "of your data"
    url = "http://host.robots.ox.ac.uk/pascal/VOC/"
    layout: Layout = "verified"
    description = (
        "Pictures with boxes, one XML file each, as in PASCAL VOC and many public sets of it. Boxes that are none are "
        "set aside with file, line and reason."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds Annotations/ and JPEGImages/",
        "images": "folder of the pictures (default: JPEGImages in it)",
        "origin": "number of the first pixel: 1 as VOC defines it (default), or 0 for files that count edges from 0",
        "min_side": f"boxes with a side under so many pixels are set aside (default {MIN_SIDE:g}: single clicks)",
        "source": "name of the data set for the provenance (default: pascal-voc)",
        "licence": "of the data, for the provenance",
        "url": "home of the data, for the provenance",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """Records of all annotation files; split by the lists where there are any."""
        origin: Origin = 1 if choice(options, "origin", ("1", "0")) == "1" else 0
        out = read(
            home,
            image_folder(options, home / "JPEGImages"),
            origin=origin,
            min_side=number(options, "min_side", MIN_SIDE),
            source=options.get("source") or self.name,
            licence=options.get("licence") or "unstated",
            url=options.get("url") or "",
        )
        return out, [f"Pixels were counted from {origin}."]
