"""`path-vqa`: PathVQA's questions on pathology pictures of textbooks (He et al., arXiv 2003.10286).

Read in the layout of the Hub, https://huggingface.co/datasets/flaviagiammarino/path-vqa: parquet files with `image`,
`question` and `answer`; 19,654 training, 6,259 validation and 6,719 test rows, after copies were dropped within splits.
The original release stores its questions as pickles, which Osler does not open. Answer types are not stated: a question
is CLOSED when its answer is yes or no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.sources.box_source import Layout
from osler.sources.hub_files import HubFiles
from osler.sources.json_rows import text
from osler.sources.own_copy import OwnCopySource, hub_options
from osler.sources.parquet_images import rows, shards, write_picture
from osler.sources.question_records import QuestionRecords

HUB = HubFiles(
    "flaviagiammarino/path-vqa", "cf69efe406aece2f8b2c514e37c7e98cb353e79e", ("data/*.parquet",), "about 790 MB"
)
COLUMNS = ("image", "question", "answer")
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
PUBLISHED = {"train": 19_654, "dev": 6_259, "test": 6_719}


class PathVqaSource(OwnCopySource):
    """Open and yes-or-no questions on pathology pictures."""

    name = "path-vqa"
    title = "PathVQA"
    licence = "MIT as its page on the Hub states; the pictures belong to the publishers of the books"
    url = HUB.url
    description = "Open and yes-or-no questions on pathology pictures; the pictures are written below images/."
    layout: Layout = "documented"
    revision = HUB.revision
    access = "open; no account is needed."
    hub: ClassVar[HubFiles | None] = HUB
    wanted = "test-*.parquet or data/test-*.parquet"
    options: ClassVar[Mapping[str, str]] = {"from": "folder that holds the parquet files", **hub_options(HUB)}

    def present(self, home: Path) -> bool:
        """The test rows."""
        return bool(shards(home, "test"))

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of all splits that are there."""
        out = QuestionRecords(folder, self.name, self.licence, self.url)
        counts = {}
        for split, published in SPLITS.items():
            number = 0
            for path in shards(home, published):
                for line, row in rows(path, COLUMNS):
                    number += 1
                    with out.row(path, line):
                        answer = text(row, "answer")
                        question_type = text(row, "question").split()[0].lower()
                        out.add(
                            split,
                            name=f"{published}-{number}",
                            question=text(row, "question"),
                            answer=answer,
                            images=[write_picture(row["image"], folder, field="image")],
                            where=f"{path.name}:{line}",
                            tags={
                                "question_type": question_type,
                                "answer_type": "CLOSED" if answer.lower() in ("yes", "no") else "OPEN",
                            },
                        )
            counts[split] = number
        remarks = ["Closed are the questions answered with yes or no; question_type is the question's first word."]
        if counts != PUBLISHED:
            remarks.append(f"These files have {counts} rows; published are {PUBLISHED}.")
        return out, remarks
