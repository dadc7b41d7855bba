"""VQA-RAD: clinicians' questions and answers on radiology images of MedPix.

Lau, Gayen, Ben Abacha, Demner-Fushman, Scientific Data 5:180251 (2018). CC0 1.0. Read in the layout of its public home
on OSF: `VQA_RAD Dataset Public.json` beside `images/` (or OSF's own name, `VQA_RAD Image Folder/`).

Known about the file and handled here (counted on the published file, sha256 in `JSON_SHA256`):

- The official test items are those whose `phrase_type` begins with `test_`: 451, of which 179 open and 272 closed.
  202 of the 203 test images are training images too, so the official score measures answering about known pictures.
  The `image-disjoint` convention keeps whole cases (all images and questions of one MedPix case) on one side.
- Three training items are copies of other training items (picture, question and answer), and one is a copy of a test
  item. The `deduplicated` convention drops those four: 2,244 items, 1,793 of them training, the version on the Hub
  (https://huggingface.co/datasets/flaviagiammarino/vqa-rad).
- `answer_type` reads `"CLOSED "` twice; five answers are numbers; one `qid` is a string; questions hold stray tabs.
- `question_type` has typing errors (`ATRIB`, `PRSE`, `Other`) and comma lists: errors are corrected, and the *first*
  type named is the tag `question_type`; the whole list stays in the provenance.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from osler.errors import RecordError, SourceError
from osler.records import ImageRef, Provenance, Record, Turn

NAME = "vqa-rad"
LICENCE = "CC0-1.0"
HOME = "https://osf.io/89kps/"
JSON_NAME = "VQA_RAD Dataset Public.json"
JSON_SHA256 = "948b7156059b864cf72344fb10669233526b175c243e5a046d20d4201d297a95"
IMAGE_FOLDERS = ("images", "VQA_RAD Image Folder")

Split = Literal["train", "dev", "test"]
Convention = Literal["official", "image-disjoint", "deduplicated"]

TEST_ITEMS = 451
"""Size of the official test set, which the image-disjoint test set matches as nearly as whole cases allow."""
DEV_FRACTION = 0.1
"""Share of the training items that `dev` takes (at least, by whole cases)."""

_TYPE_ERRORS = {"ATRIB": "ATTRIB", "PRSE": "PRES"}


def normalise_question_type(raw: str) -> tuple[str, ...]:
    """Question types of the file as a list of corrected upper-case codes, in the order given.

    Example:
        >>> normalise_question_type("PRSE"), normalise_question_type("POS, PRES"), normalise_question_type("Other")
        (('PRES',), ('POS', 'PRES'), ('OTHER',))
    """
    codes = [code.strip().upper() for code in raw.split(",") if code.strip()]
    return tuple(_TYPE_ERRORS.get(code, code) for code in codes) or ("OTHER",)


def _key(*parts: str) -> str:
    return hashlib.sha256("\x1f".join((NAME, *parts)).encode()).hexdigest()


def _read(folder: Path) -> list[dict[str, Any]]:
    path = folder / JSON_NAME
    if not path.is_file():
        raise SourceError(f"{folder}: holds no {JSON_NAME!r}; get VQA-RAD from {HOME} and give the folder it lies in")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(rows, list):
        raise SourceError(f"{path}: holds a {type(rows).__name__}, not a list of questions")
    return rows


def image_folder(folder: str | Path) -> Path:
    """Folder of the images inside a VQA-RAD folder; the paths of the records are relative to `folder`.

    Raises:
        SourceError: when neither known name exists.
    """
    for name in IMAGE_FOLDERS:
        if (Path(folder) / name).is_dir():
            return Path(folder) / name
    raise SourceError(f"{folder}: holds neither {IMAGE_FOLDERS[0]!r} nor {IMAGE_FOLDERS[1]!r}")


class _Cases:
    """Images and case addresses joined: an image with two addresses, or an address with two images, is one case."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self._parent: dict[str, str] = {}
        rows = list(rows)
        for row in rows:
            left, right = self._root("image:" + row["image_name"]), self._root("case:" + row["image_case_url"])
            self._parent[max(left, right)] = min(left, right)
        members: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            members[self._root("image:" + row["image_name"])].add(row["image_case_url"])
        # Named after the case addresses, hashed: the address leads to a public page of one patient.
        self._names = {root: _key("subject", *sorted(urls))[:16] for root, urls in members.items()}

    def _root(self, node: str) -> str:
        self._parent.setdefault(node, node)
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def of(self, image: str) -> str:
        """Pseudonymous key of the case that the image belongs to."""
        return self._names[self._root("image:" + image)]


def _reserve(sizes: dict[str, int], *, salt: str, items: float) -> set[str]:
    """Cases in the order of their hash until they hold at least `items` items: fixed for ever, and no seed to tune."""
    reserved: set[str] = set()
    total = 0
    for case in sorted(sizes, key=lambda case: _key(salt, case)):
        if total >= items:
            break
        reserved.add(case)
        total += sizes[case]
    return reserved


def split_items(records: list[Record], convention: Convention) -> dict[str, Split]:
    """Split of each record, by id; the records have subjects, and their official split in the provenance."""
    sizes: dict[str, int] = defaultdict(int)
    for record in records:
        sizes[str(record.subject)] += 1
    if convention == "image-disjoint":
        test_cases = _reserve(sizes, salt="image-disjoint test v1", items=TEST_ITEMS)
        test_ids = {record.id for record in records if record.subject in test_cases}
    else:
        test_ids = {record.id for record in records if record.provenance.split == "test"}
        test_cases = {str(record.subject) for record in records if record.id in test_ids}
    training_items = len(records) - len(test_ids)
    # `dev` chooses checkpoints, so none of its images may be a test image of the convention in use.
    free = {case: size for case, size in sizes.items() if case not in test_cases}
    dev_cases = _reserve(free, salt=f"{convention} dev v1", items=DEV_FRACTION * training_items)
    return {
        record.id: "test" if record.id in test_ids else "dev" if record.subject in dev_cases else "train"
        for record in records
    }


def copies(records: Iterable[Record]) -> set[str]:
    """Ids of official training items that repeat picture, question and answer of an earlier one or of a test item."""
    records = list(records)
    seen = {_triplet(record) for record in records if record.provenance.split == "test"}
    repeated = set()
    for record in records:
        if record.provenance.split != "test":
            if _triplet(record) in seen:
                repeated.add(record.id)
            seen.add(_triplet(record))
    return repeated


def _triplet(record: Record) -> tuple[str, str, str]:
    return record.images[0].path, record.question, record.answer


def load_all(folder: str | Path) -> list[Record]:
    """All 2,248 items in file order, `provenance.split` being the official one ("train" or "test").

    Args:
        folder: holds the JSON file and the image folder.

    Raises:
        SourceError: when the file or the image folder is absent or unreadable.
        RecordError: when an item misses a field; names item and field.
    """
    folder = Path(folder)
    rows, images = _read(folder), image_folder(folder).name
    for number, row in enumerate(rows, start=1):
        for field in ("qid", "image_name", "image_case_url", "question", "answer", "answer_type", "phrase_type"):
            if not isinstance(row, dict) or row.get(field) in (None, ""):
                raise RecordError("is absent", path=folder / JSON_NAME, line=number, field=field)
    cases = _Cases(rows)
    return [_record(row, images=images, subject=cases.of(row["image_name"])) for row in rows]


def _record(row: dict[str, Any], *, images: str, subject: str) -> Record:
    question = " ".join(str(row["question"]).split())
    types = normalise_question_type(str(row.get("question_type") or "OTHER"))
    return Record(
        id=f"vqa-rad-{row['qid']}",
        images=(ImageRef(path=f"{images}/{row['image_name']}"),),
        turns=(
            Turn(role="user", text=f"<image>\n{question}"),
            Turn(role="assistant", text=" ".join(str(row["answer"]).split())),
        ),
        subject=subject,
        study=_key("image", row["image_name"])[:16],
        tags={
            "question_type": types[0],
            "answer_type": str(row["answer_type"]).strip().upper(),
            "organ": str(row.get("image_organ") or "UNKNOWN").strip().upper(),
        },
        provenance=Provenance(
            source=NAME,
            licence=LICENCE,
            split="test" if str(row["phrase_type"]).startswith("test_") else "train",
            url=HOME,
            generator="human",
            notes={"question_types": ", ".join(types), "phrase_type": str(row["phrase_type"])},
        ),
    )


def load(folder: str | Path, *, split: Split = "test", convention: Convention = "official") -> list[Record]:
    """Records of one split.

    `official`: test as published, everything else is training; `dev` is taken from training images (whole cases) that
    are no test images. `image-disjoint`: cases in the order of a fixed hash are reserved for test until they hold at
    least 451 items, then for `dev`; all questions of a case, official test or not, stay together. `deduplicated`: as
    `official`, without the four training items of `copies`.

    Args:
        folder: holds the JSON file and the image folder.
        split: "train", "dev" or "test". `train` excludes `dev`.
        convention: how the test part is chosen.

    Returns:
        Records in file order; `provenance.split` is the split asked for, `provenance.notes` names the convention and
        keeps the official split.

    Raises:
        SourceError: for an unknown split or convention, or missing files.
        RecordError: for a malformed item.
    """
    if split not in get_args(Split) or convention not in get_args(Convention):
        raise SourceError(
            f"VQA-RAD has no split {split!r} by convention {convention!r}; "
            f"splits: {', '.join(get_args(Split))}; conventions: {', '.join(get_args(Convention))}"
        )
    records = load_all(folder)
    split_of = split_items(records, convention)
    if convention == "deduplicated":
        dropped = copies(records)
        records = [record for record in records if record.id not in dropped]
    chosen = []
    for record in records:
        if split_of[record.id] == split:
            notes = {**record.provenance.notes, "convention": convention, "official_split": record.provenance.split}
            provenance = record.provenance.model_copy(update={"split": split, "notes": notes})
            chosen.append(record.model_copy(update={"provenance": provenance}))
    return chosen
