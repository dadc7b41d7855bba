"""The study's questions: abnormality instructions on phantom studies and on blood smears, one text format for both."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

from osler.boxes import Box
from osler.record_files import read_records, write_records
from osler.records import ImageRef, Record, Region
from osler.study.abnormal_aware.grid import Data
from osler.study.grid import StudyError

FORMAT = "norm100_xyxy"  # whole numbers of a hundred: one token each in a vocabulary of words
# parts of a source that a file is made of; phantom's part "train" is not trained on here
PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "phantom": {"train": ("instruct",), "test": ("test", "train")},
    "bccd": {"train": ("train", "dev"), "test": ("test",)},
}
MOST_REGIONS = {"phantom": 1, "bccd": None}  # in a picture
ANNOTATED = 500  # phantom pictures with boxes: as many as a hospital might draw, and few enough that tuning overfits
CLASSES = {"phantom": (), "bccd": ("WBC",)}
READY = "ready"


def prepare(data: Data, source: Path, images: Path, folder: Path) -> Path:
    """Write `train.jsonl` and `test.jsonl`; a folder that is ready is left as it is.

    Tuning, more tuning and rewards all learn from the same pictures.

    Blood smears have 205 training pictures: the development part joins them, and each is also shown mirrored, with its
    boxes. Test pictures are neither.

    Args:
        data: which.
        source: folder of `osler data get phantom` or of `osler data get pascal-voc`.
        images: folder that image paths are relative to.
        folder: to write to.

    Returns:
        The folder.

    Raises:
        StudyError: when a record file is absent.
    """
    from osler.instruct.abnormality import abnormality_records

    if (folder / READY).is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    most = MOST_REGIONS[data]
    for part, names in PARTS[data].items():
        for missing in (source / f"{one}.jsonl" for one in names if not (source / f"{one}.jsonl").is_file()):
            raise StudyError(f"{missing}: no such file; make it with `osler data get` (docs/results/abnormal_aware.md)")
        records = [record for one in names for record in read_records(source / f"{one}.jsonl")]
        if data == "bccd":
            turns = [(False, False)] if part == "test" else [(a, b) for a in (False, True) for b in (False, True)]
            records = [mirrored(record, images, folder, *turn) for record in records for turn in turns]
        else:
            records = [_copied(record, images, folder) for record in records]
        asked = abnormality_records(
            records,
            box_format=FORMAT,
            wording="fixed" if part == "test" else "varied",
            classes=CLASSES[data],
            max_regions=most,
            negatives=most is None,
        )
        if data == "phantom" and part == "train":
            asked = islice(asked, ANNOTATED)
        write_records(asked, folder / f"{part}.jsonl")
    (folder / READY).write_text("")
    return folder


def _copied(record: Record, images: Path, folder: Path) -> Record:
    """The record, with its picture in `folder` too: image paths are relative to their record file."""
    target = folder / record.images[0].path
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(images / record.images[0].path, target)
    return record


def mirrored(record: Record, images: Path, folder: Path, across: bool, down: bool) -> Record:
    """A record with its picture mirrored, written as PNG below `folder`, and its boxes with it.

    Args:
        record: with one image.
        images: folder of the picture.
        folder: to write to.
        across: left becomes right.
        down: top becomes bottom.
    """
    from PIL import ImageOps

    from osler.images import load_image

    path = Path(record.images[0].path)
    picture = load_image(images / path).image
    if across:
        picture = ImageOps.mirror(picture)
    if down:
        picture = ImageOps.flip(picture)
    name = f"images/{path.stem}-{across:d}{down:d}.png"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    picture.save(folder / name)
    width, height = picture.size
    regions = []
    for region in record.regions:
        x1, y1, x2, y2 = region.box.xyxy()
        if across:
            x1, x2 = width - x2, width - x1
        if down:
            y1, y2 = height - y2, height - y1
        regions.append(Region(box=Box(x1, y1, x2, y2, width, height), label=region.label))
    return record.model_copy(
        update={
            "id": f"{record.id}-{across:d}{down:d}",
            "images": (ImageRef(path=name, width=width, height=height),),
            "regions": tuple(regions),
        }
    )
