"""`mmmu-med`: the health and medicine part of MMMU (Yue et al., arXiv 2311.16502; Apache-2.0).

Layout, by https://huggingface.co/datasets/MMMU/MMMU: a folder for each subject with `dev-*.parquet` (5 rows),
`validation-*.parquet` (30) and `test-*.parquet`; columns `id`, `question`, `options` (a Python list as text), `answer`
(a letter, or the answer of an open question), `image_1` to `image_7`, `question_type` ("multiple-choice", "open"),
`subfield`, `topic_difficulty`, `img_type`. Questions and options refer to pictures as `<image 1>`; that stays, and all
pictures stand before the question. Answers of the test part are hidden ("?"): what is scored here is the validation
part.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError
from osler.record_options import options_tag
from osler.sources.box_source import Layout
from osler.sources.hub_files import HubFiles
from osler.sources.json_rows import text
from osler.sources.own_copy import OwnCopySource, hub_options
from osler.sources.parquet_images import rows, shards, write_picture
from osler.sources.question_records import QuestionRecords

SUBJECTS = (
    "Basic_Medical_Science",
    "Clinical_Medicine",
    "Diagnostics_and_Laboratory_Medicine",
    "Pharmacy",
    "Public_Health",
)
SPLITS = {"train": "dev", "test": "validation"}
COLUMNS = ("id", "question", "options", "answer", "image_1", "question_type")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
HUB = HubFiles(
    "MMMU/MMMU",
    "main",
    tuple(f"{subject}/{split}-*.parquet" for subject in SUBJECTS for split in SPLITS.values()),
    "about 40 MB",
)


class MmmuMedSource(OwnCopySource):
    """College questions on medical figures."""

    name = "mmmu-med"
    title = "MMMU, health and medicine"
    licence = "Apache-2.0"
    url = HUB.url
    description = (
        "Five subjects of MMMU: 150 validation questions are written as test.jsonl, because the answers of the test "
        "part are hidden, and the 25 development questions as train.jsonl."
    )
    layout: Layout = "documented"
    revision = "not pinned: a download tells the commit that it took"
    access = "open; no account is needed."
    hub: ClassVar[HubFiles | None] = HUB
    wanted = f"{SUBJECTS[0]}/validation-*.parquet"
    options: ClassVar[Mapping[str, str]] = {"from": "folder that holds a folder for each subject", **hub_options(HUB)}

    def present(self, home: Path) -> bool:
        """Any subject."""
        return any(shards(home / subject, "validation") for subject in SUBJECTS)

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of all subjects that are there."""
        out = QuestionRecords(folder, self.name, self.licence, self.url)
        for subject in SUBJECTS:
            for part, split in SPLITS.items():
                for path in shards(home / subject, split):
                    for line, row in rows(path, COLUMNS):
                        with out.row(f"{subject}/{path.name}", line):
                            _add(out, part, row, subject, where=f"{subject}/{path.name}:{line}")
        absent = [subject for subject in SUBJECTS if not shards(home / subject, "validation")]
        return out, [f"Subjects that are not there: {', '.join(absent)}."] if absent else []


def _add(out: QuestionRecords, part: str, row: Mapping[str, Any], subject: str, *, where: str) -> None:
    fields = [f"image_{number}" for number in range(1, 8) if row.get(f"image_{number}") is not None]
    kind = text(row, "question_type")
    tags = {"dataset": "mmmu", "subject": subject, "question_type": kind, "answer_type": "OPEN"}
    answer = text(row, "answer")
    if answer == "?":
        raise RecordError("is hidden", field="answer")
    if kind == "multiple-choice":
        options = _options(text(row, "options"))
        if answer not in LETTERS[: len(options)] or len(answer) != 1:
            raise RecordError(f"{answer!r} is no letter of {len(options)} options", field="answer")
        answer = options[LETTERS.index(answer)]
        tags |= {"answer_type": "CLOSED", "options": options_tag(options)}
    elif answer.startswith("["):
        answer = _options(answer)[0]  # several spellings of one answer
    for tag in ("subfield", "topic_difficulty", "img_type"):
        if isinstance(row.get(tag), str) and row[tag].strip():
            tags[tag] = row[tag].strip()
    question = text(row, "question")
    shown = [int(number) for number in re.findall(r"<image (\d+)>", question + tags.get("options", ""))]
    lacking = [number for number in shown if f"image_{number}" not in fields]
    if lacking or not fields:
        raise RecordError("is empty, though the question shows it", field=f"image_{lacking[0] if lacking else 1}")
    out.add(
        part,
        name=text(row, "id"),
        question=question,
        answer=answer,
        images=[write_picture(row[field], out.images, field=field) for field in fields],
        where=where,
        split=SPLITS[part],
        tags=tags,
        generator="human",
    )


def _options(value: str) -> list[str]:
    try:
        options = ast.literal_eval(value)  # literals only: nothing is run
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise RecordError(f"is no list of texts: {value!r:.80}", field="options") from error
    if not isinstance(options, list) or not options or not all(isinstance(option, str) for option in options):
        raise RecordError(f"is no list of texts: {value!r:.80}", field="options")
    return [option.strip() for option in options]
