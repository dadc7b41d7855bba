"""VQA-RAD in the layout of the Hub: parquet files of `image`, `question` and `answer`.

https://huggingface.co/datasets/flaviagiammarino/vqa-rad: 1,793 training and 451 test rows, the published questions
without four copies (see `osler.sources.vqa_rad`). What it lacks: question and answer types, organs, and which pictures
are of one patient. Here an item is CLOSED when its answer is yes or no (251 test items; 272 are closed by the types of
the original), and the parts of `image-disjoint` share no picture, but may share a patient, and differ from those of the
original's convention of that name. `dev` is taken from training pictures that are no test pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from osler.errors import SourceError
from osler.records import Record
from osler.sources import vqa_rad
from osler.sources.base import Fetched
from osler.sources.hub_files import HubFiles, fetch
from osler.sources.json_rows import text
from osler.sources.parquet_images import rows, shards, write_picture
from osler.sources.question_records import QuestionRecords

HUB = HubFiles(
    "flaviagiammarino/vqa-rad", "bcf91e7654fb9d51c8ab6a5b82cacf3fafd2fae9", ("data/*.parquet",), "about 35 MB"
)
COLUMNS = ("image", "question", "answer")
PUBLISHED = {"train": 1793, "test": 451}


def get_hub(
    home: Path,
    folder: Path,
    convention: vqa_rad.Convention,
    *,
    revision: str = "",
    say: Callable[[str], None] | None = None,
) -> Fetched:
    """Write `train.jsonl`, `dev.jsonl` and `test.jsonl`, and the pictures below `images/`.

    Raises:
        SourceError: no such files, or a convention that they cannot serve.
    """
    if convention == "official":
        raise SourceError("the Hub's version has no four copies: its convention is deduplicated, or image-disjoint")
    if not shards(home, "test"):
        fetch(HUB, home, revision=revision, say=say)
    out = QuestionRecords(folder, vqa_rad.NAME, vqa_rad.LICENCE, HUB.url)
    counts = {split: _read(home, split, out) for split in PUBLISHED}
    records = [record for part in out.parts.values() for record in part]
    split_of = vqa_rad.split_items(records, convention)
    out.parts = {split: [] for split in ("train", "dev", "test")}
    for record in records:
        split = split_of[record.id]
        notes = {**record.provenance.notes, "convention": convention, "official_split": record.provenance.split}
        provenance = record.provenance.model_copy(update={"split": split, "notes": notes})
        out.parts[split].append(record.model_copy(update={"provenance": provenance}))
    remarks = [f"Split by the convention {convention!r}; closed are the questions answered with yes or no."]
    if counts != PUBLISHED:
        remarks.append(f"These files have {counts} rows; published are {PUBLISHED}.")
    return out.write(folder, remarks=remarks)


def _read(home: Path, split: str, out: QuestionRecords) -> int:
    number = 0
    for path in shards(home, split):
        for line, row in rows(path, COLUMNS):
            number += 1
            with out.row(path, line):
                picture = write_picture(row["image"], out.images, field="image")
                answer = text(row, "answer")
                out.add(
                    split,
                    name=f"{split}-{number}",
                    question=" ".join(text(row, "question").split()),
                    answer=" ".join(answer.split()),
                    images=[picture],
                    where=f"{path.name}:{line}",
                    subject=_pseudonym(picture),
                    study=_pseudonym(picture),
                    tags={"answer_type": "CLOSED" if answer.lower() in ("yes", "no") else "OPEN"},
                    generator="human",
                )
    return number


def _pseudonym(picture: str) -> str:
    return hashlib.sha256(f"{vqa_rad.NAME}\x1fhub\x1f{picture}".encode()).hexdigest()[:16]


def load_written(folder: Path, split: str, convention: str) -> list[Record]:
    """Records that a source wrote into a folder.

    Raises:
        SourceError: there are none, or they were split by another convention.
    """
    from osler.record_files import read_records

    path = folder / f"{split}.jsonl"
    if not path.is_file():
        where = "the Hub's parquet files: " if shards(folder, "test") else ""
        raise SourceError(
            f"{folder}: {where}holds neither {vqa_rad.JSON_NAME!r} nor {split}.jsonl; write record files with "
            f"`osler data get vqa-rad OUT from={folder} convention={convention}`, or without from= to fetch them"
        )
    records = list(read_records(path))
    found = {str(record.provenance.notes.get("convention")) for record in records}
    if found - {convention}:
        raise SourceError(f"{path}: was written for the convention {', '.join(sorted(found))}, not {convention}")
    return records
