"""`ms-cxr`: the phrase of a chest X-ray's report, and where in the picture it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from osler.boxes import Box
from osler.errors import EvaluationError
from osler.evaluation.tasks.phrases import Phrases, phrase_record, pixel_box
from osler.record_ids import pseudonym, stable_id
from osler.records import ImageRef, Provenance, Record

_SALT = "ms-cxr: only to keep images of one patient together"


class _Row(NamedTuple):
    image: ImageRef
    phrase: str
    category: str
    box: Box
    split: str | None
    subject: str | None


class MsCxr(Phrases):
    """MS-CXR (Boecking et al. 2022; credentialed access), by category of 8. Mean IoU as PFMVG evaluates it.

    `data` is the published JSON (`MS_CXR_Local_Alignment_*.json`) or a folder that holds it; image paths are relative
    to that folder. COCO's layout: `images` (`id`, `path` or `file_name`, `width`, `height`), `annotations`
    (`image_id`, `category_id`, `label_text`, `bbox` as x, y, width, height in pixels) and `categories` (`id`, `name`).
    Where images or annotations carry a `split`, it counts ("val" is "dev"); otherwise all is the test split.

    Convention `merged` asks for all boxes of a phrase in an image at once; `per-row` makes an item of each annotation,
    so that a phrase with two boxes is asked twice and can be right once only.
    """

    name = "ms-cxr"
    description = "MS-CXR: boxes of report phrases in chest X-rays, by category"
    conventions = ("merged", "per-row")
    groups = ("category",)

    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Items of a split.

        Raises:
            EvaluationError: when there is no such file or split, or a row is malformed.
        """
        rows = _read(_json_file(data))
        if all(row.split is None for row in rows):
            rows = rows if split == "test" else []
        rows = [row for row in rows if row.split in (None, split)]
        records: dict[str, Record] = {}
        for group in _grouped(rows, merged=convention == "merged"):
            record = _record(group)
            records.setdefault(record.id, record)  # the same row twice is one item
        return list(records.values())

    def training(self, data: Path, *, convention: str) -> list[Record] | None:
        """The training split where the file has splits; None where it has none."""
        return self.load(data, split="train", convention=convention) or None


def _json_file(data: Path) -> Path:
    if data.is_file():
        return data
    files = sorted(data.glob("MS_CXR*.json"))
    if not files:
        raise EvaluationError(f"{data}: holds no MS_CXR*.json; give the folder or the file itself")
    return files[-1]


def _read(path: Path) -> list[_Row]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images = {image["id"]: image for image in content["images"]}
        names = {entry["id"]: str(entry["name"]).strip().lower() for entry in content["categories"]}
        annotations = content["annotations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{path}: not in COCO's layout (images, annotations, categories): {error!r}") from error
    rows = []
    for number, entry in enumerate(annotations, start=1):
        where = f"{path}: annotation {number}"
        try:
            image = images[entry["image_id"]]
            name = str(image.get("path") or image["file_name"])
            size = int(image["width"]), int(image["height"])
            phrase = str(entry["label_text"]).strip()
            category = names[entry["category_id"]]
            numbers: Any = entry["bbox"]
        except (KeyError, TypeError, ValueError) as error:
            raise EvaluationError(f"{where}: lacks or misspells {error}") from error
        if not phrase:
            raise EvaluationError(f"{where}: label_text is empty")
        box = pixel_box(numbers, layout="xywh", width=size[0], height=size[1], where=where)
        split = entry.get("split") or image.get("split")
        # MIMIC-CXR's folders: files/p10/p10000032/s50414267/....jpg
        patient = next((part for part in reversed(Path(name).parts[:-1]) if part[:1] == "p" and part[1:].isdigit()), "")
        rows.append(
            _Row(
                ImageRef(path=name, width=size[0], height=size[1]),
                phrase,
                category,
                box,
                {"val": "dev", "valid": "dev"}.get(split, split),
                pseudonym(patient, salt=_SALT) if len(patient) > 4 else None,
            )
        )
    return rows


def _grouped(rows: Sequence[_Row], *, merged: bool) -> list[list[_Row]]:
    groups: dict[tuple[Any, ...], list[_Row]] = {}
    for number, row in enumerate(rows):
        key = (row.image.path, row.phrase, row.category) if merged else (number,)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _record(group: Sequence[_Row]) -> Record:
    first = group[0]
    boxes = list(dict.fromkeys(row.box for row in group))
    corners = [edge for box in boxes for edge in box.xyxy()]
    return phrase_record(
        name=stable_id("ms-cxr", first.image.path, first.phrase, first.category, *corners),
        image=first.image,
        phrase=first.phrase,
        boxes=boxes,
        category=first.category,
        dataset="ms-cxr",
        subject=first.subject,
        provenance=Provenance(source="ms-cxr", licence="PhysioNet credentialed", split=first.split),
    )


TASK = MsCxr()
