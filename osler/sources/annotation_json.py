"""R2Gen's `annotation.json`, which report generators share for IU X-ray and MIMIC-CXR.

https://github.com/cuhksz-nlp/R2Gen: an object with lists `train`, `val` and `test` of `{"id", "image_path": [...],
"report"}`, for MIMIC-CXR with `subject_id` and `study_id` too; pictures lie below `images/`. The reports are findings
that were cleaned and cut by its authors.
"""

from __future__ import annotations

from pathlib import Path

from osler.errors import RecordError
from osler.record_ids import stable_id
from osler.sources.json_rows import image_file, key, read_object, text
from osler.sources.question_records import QuestionRecords

FILE = "annotation.json"
SPLITS = {"train": "train", "val": "dev", "test": "test"}


def add_annotations(out: QuestionRecords, home: Path, *, question: str, dataset: str) -> None:
    """Records of all entries.

    Raises:
        RecordError: the file is not of this layout.
    """
    content = read_object(home / FILE)
    prefix = "images/" if (home / "images").is_dir() else ""
    for split, part in SPLITS.items():
        rows = content.get(split)
        if not isinstance(rows, list):
            raise RecordError(f"want a list, not {type(rows).__name__}", path=home / FILE, field=split)
        for number, row in enumerate(rows, start=1):
            with out.row(f"{FILE}[{split}]", number):
                if not isinstance(row, dict):
                    raise RecordError("is no JSON object with a report")
                paths = row.get("image_path")
                if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
                    raise RecordError(f"want a list of paths, not {paths!r:.80}", field="image_path")
                subject = row.get("subject_id")
                out.add(
                    part,
                    name=f"{split}-{key(row, 'id')}",
                    question=question,
                    answer=text(row, "report"),
                    images=[image_file(home, prefix + path, field="image_path") for path in paths],
                    where=f"{FILE}[{split}]:{number}",
                    subject=stable_id(dataset, key(row, "subject_id" if subject is not None else "id")),
                    tags={"question_type": "report", "answer_type": "OPEN", "dataset": dataset, "modality": "x-ray"},
                    generator="human",
                )
