"""`ms-cxr`: phrases of chest X-ray reports with their boxes (Boecking et al., ECCV 2022; PhysioNet, credentialed).

Two equal files: `MS_CXR_Local_Alignment_v1.*.json` in COCO layout, with `label_text` in each annotation and `path` in
each image; and a CSV with the columns dicom_id, category_name, label_text, path, x, y, w, h, image_width, image_height,
since version 1.1 also split. `path` is MIMIC-CXR's: `files/p1x/pXXXXXXXX/sXXXXXXXX/NAME.jpg` (patient, study).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from osler.errors import RecordError, SourceError
from osler.record_ids import stable_id
from osler.record_splits import split_records
from osler.sources.box_records import SPLITS, BoxRecords, Mark
from osler.sources.box_source import BoxSource, Layout, choice, image_folder, number
from osler.sources.coco_json import read_coco
from osler.sources.csv_rows import numbers, read_rows

CATEGORIES = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Lung Opacity",
    "Pleural Effusion",
    "Pneumonia",
    "Pneumothorax",
)
COLUMNS = ("category_name", "label_text", "path", "x", "y", "w", "h", "image_width", "image_height")
FRACTIONS = {"train": 0.7, "dev": 0.1, "test": 0.2}
_PATH = re.compile(r"(?:^|/)(p[0-9]{8})/(s[0-9]{8})/[^/]+$")


_Key = tuple[str, str, str]


class _Row(NamedTuple):
    """One phrase with one box."""

    mark: Mark
    phrase: str
    path: str
    size: tuple[int, int] | None
    split: str | None

    @property
    def key(self) -> _Key:
        """What the boxes of one phrase have in common."""
        return self.path, self.mark.label, self.phrase


class MsCxrSource(BoxSource):
    """Phrase grounding on chest X-rays."""

    name = "ms-cxr"
    title = "MS-CXR (phrases with boxes)"
    licence = "PhysioNet Credentialed Health Data License 1.5.0"
    url = "https://physionet.org/content/ms-cxr/"
    layout: Layout = "documented"
    description = (
        "Phrases of reports with their boxes on MIMIC-CXR pictures, from your credentialed copies. The phrase is "
        "the tag `phrase`, the finding the label."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "MS_CXR_Local_Alignment file, JSON or CSV",
        "images": "folder that holds MIMIC-CXR-JPG's files/ (default: the folder of the file)",
        "boxes": "merged: a phrase with several boxes is one record (default); per-row: one for each box, as PFMVG",
        "split": "official (default where every row has one) or patient: by the hash of the patient in the path",
        "seed": "of the split by patient (default 0)",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """Records of all phrases, split so that no patient stands on two sides."""
        merged = choice(options, "boxes", ("merged", "per-row")) == "merged"
        seed = int(number(options, "seed", 0))
        out = BoxRecords(image_folder(options, home.parent), self.name, self.licence, self.url, labels=CATEGORIES)
        rows, faulty = _csv_rows(home, out) if home.suffix.lower() == ".csv" else _json_rows(home, out)
        official = bool(rows) and all(row.split for row in rows)
        wanted = choice(options, "split", ("official" if official else "patient", "official", "patient"))
        if wanted == "official" and not official:
            raise SourceError(f"{home}: not every row has a split (version 1.0 has none); use split=patient")
        groups: dict[tuple[object, ...], list[_Row]] = defaultdict(list)
        for position, row in enumerate(rows):
            groups[row.key if merged else (position,)].append(row)
        for group in groups.values():
            lost = faulty[group[0].key] if merged else 0
            _add(out, home, group, merged=merged, official=wanted == "official", lost=lost)
        if wanted == "patient" and out.records:
            parts = split_records(out.records, FRACTIONS, seed=seed, by="subject", allow_empty=True)
            split_of = {record.id: name for name, part in parts.parts.items() for record in part}
            out.records = [
                record.model_copy(
                    update={"provenance": record.provenance.model_copy(update={"split": split_of[record.id]})}
                )
                for record in out.records
            ]
        return out, [f"Split: {wanted}" + (f", seed {seed}, fractions {FRACTIONS}." if wanted == "patient" else ".")]


def _add(out: BoxRecords, file: Path, rows: Sequence[_Row], *, merged: bool, official: bool, lost: int) -> None:
    first = rows[0]
    found = _PATH.search(first.path)
    if found is None:
        for row in rows:
            out.set_aside(file, row.mark.line, "path", f"{row.path!r} names no patient and study (pXXXXXXXX/sXXXXXXXX)")
        return
    key = ["phrase", first.mark.label, first.phrase] if merged else ["row", *map(str, first.mark.corners), first.phrase]
    out.add(
        first.path,
        [row.mark for row in rows],
        file=file,
        line=first.mark.line,
        lost=lost,
        key=key,
        stated=first.size,
        subject=stable_id(MsCxrSource.name, found[1]),
        study=stable_id(MsCxrSource.name, found[1], found[2]),
        split=SPLITS.get((first.split or "").lower(), first.split) if official else None,
        tags={"phrase": first.phrase, "modality": "x-ray", "regions": "partial"},
    )


def _json_rows(path: Path, out: BoxRecords) -> tuple[list[_Row], Counter[_Key]]:
    """Rows of the file, and how many boxes of which phrase were set aside."""
    rows, faulty = [], Counter[_Key]()
    for image in read_coco(path, out):
        names = {item["category_id"]: mark.label for mark, item in image.marks}
        for item in image.faulty:
            label = names.get(item.get("category_id"), "") if isinstance(item.get("category_id"), int | str) else ""
            faulty[image.path, label, str(item.get("label_text")).strip()] += 1
        for mark, item in image.marks:
            phrase = item.get("label_text")
            if not isinstance(phrase, str) or not phrase.strip():
                out.set_aside(path, mark.line, "annotations.label_text", f"is {phrase!r}; want the phrase")
                continue
            split = item.get("split") or image.raw.get("split")
            rows.append(_Row(mark, phrase.strip(), image.path, image.size, split if isinstance(split, str) else None))
    return rows, faulty


def _csv_rows(path: Path, out: BoxRecords) -> tuple[list[_Row], Counter[_Key]]:
    """Rows of the table, and how many boxes of which phrase were set aside."""
    rows, faulty = [], Counter[_Key]()
    for line, cells in read_rows(path, COLUMNS):
        try:
            x, y, width, height = numbers(cells, ("x", "y", "w", "h"))
            size_x, size_y = numbers(cells, ("image_width", "image_height"))
            if not cells["label_text"]:
                raise RecordError("is empty", field="label_text")
        except RecordError as error:
            out.set_aside(path, line, error.field, error.reason)
            faulty[cells["path"], cells["category_name"], cells["label_text"]] += 1
            continue
        mark = Mark(line, cells["category_name"], (x, y, x + width, y + height))
        rows.append(
            _Row(mark, cells["label_text"], cells["path"], (int(size_x), int(size_y)), cells.get("split") or None)
        )
    return rows, faulty
