"""`pmc-vqa`: multiple-choice questions on figures of PubMed Central (Zhang et al., arXiv 2305.10415).

Layout, by https://huggingface.co/datasets/xmcmic/PMC-VQA: `train.csv`, `test.csv` and `test_clean.csv` (the part that
was checked by hand) with the pictures in `images/`; version 2, of undivided figures, is `train_2.csv` and `test_2.csv`
with `figures/`. Columns: `Figure_path`, `Question`, `Choice A` to `Choice D` (each begins with its letter and a colon),
`Answer`, which the files also spell `Anwser`, and sometimes `Answer_label`, `Caption` and others. An answer that is a
letter, or no choice to the letter, is resolved by the label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError, SourceError
from osler.record_options import options_tag
from osler.sources.box_source import Layout, choice
from osler.sources.csv_rows import read_rows
from osler.sources.hub_files import HubFiles
from osler.sources.json_rows import image_file, text
from osler.sources.own_copy import OwnCopySource, hub_options
from osler.sources.question_records import QuestionRecords

HUB = HubFiles(
    "xmcmic/PMC-VQA",
    "c08340c8c3e01c5b0a549ff4849059b017bd584d",
    ("test.csv", "test_clean.csv", "train.csv", "images.zip"),
    "about 19 GB",
    archives=("images.zip",),
)
COLUMNS = ("Figure_path", "Question", "Choice A", "Choice B", "Choice C", "Choice D")
ANSWERS = ("Answer", "Anwser")
LABELS = ("Answer_label", "Anwser_label")
FILES = {
    "1": {"test": "test.csv", "test_clean": "test_clean.csv", "train": "train.csv"},
    "2": {"test": "test_2.csv", "train": "train_2.csv"},
}
FOLDERS = {"1": ("images", "."), "2": ("figures", "images_2", "images", ".")}
_LETTER = re.compile(r"^\s*([A-D])\s*[:.)]\s*")


class PmcVqaSource(OwnCopySource):
    """Questions with four choices on figures of articles."""

    name = "pmc-vqa"
    title = "PMC-VQA"
    licence = "unstated at this revision; the figures are under the licences of their articles"
    url = HUB.url
    description = (
        "Multiple-choice questions on figures of articles. test_clean.jsonl holds the questions that were checked by "
        "hand, test.jsonl all of them."
    )
    layout: Layout = "documented"
    revision = HUB.revision
    access = "open; no account is needed."
    hub: ClassVar[HubFiles | None] = HUB
    wanted = "test.csv or test_clean.csv with images/"
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds the tables and the folder of pictures",
        "version": "1 (default) or 2, which has undivided figures",
        **hub_options(HUB),
    }

    def present(self, home: Path) -> bool:
        """Any table."""
        return any((home / name).is_file() for files in FILES.values() for name in files.values())

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of all tables of a version that are there."""
        version = choice(options, "version", ("1", "2"))
        tables = {part: home / name for part, name in FILES[version].items() if (home / name).is_file()}
        if not tables:
            raise SourceError(f"{home}: has no table of version {version}: {', '.join(FILES[version].values())}")
        pictures = next((name for name in FOLDERS[version] if name == "." or (home / name).is_dir()), ".")
        out = QuestionRecords(home, self.name, self.licence, self.url)
        for part, path in tables.items():
            for line, row in read_rows(path, COLUMNS):
                with out.row(path, line):
                    _add(out, part, row, pictures, where=f"{path.name}:{line}", name=f"{part}-{line - 1}")
        return out, [f"Version {version}; pictures in {home / pictures}."]


def _add(out: QuestionRecords, part: str, row: Mapping[str, str], pictures: str, *, where: str, name: str) -> None:
    options = []
    for column in COLUMNS[2:]:
        value = text(row, column)
        lettered = _LETTER.match(value)
        if lettered and lettered[1] != column[-1]:
            raise RecordError(f"{value!r} begins with another letter", field=column)
        options.append(value[lettered.end() :].strip() if lettered else value)
    figure = text(row, "Figure_path")
    out.add(
        part,
        name=name,
        question=text(row, "Question"),
        answer=_right(row, options),
        images=[image_file(out.images, figure if pictures == "." else f"{pictures}/{figure}", field="Figure_path")],
        where=where,
        split="train" if part == "train" else "test",
        tags={
            "answer_type": "CLOSED",
            "question_type": "choice",
            "options": options_tag(options),
            "dataset": "pmc-vqa",
        },
        generator="ChatGPT, by the publisher's description",
    )


def _right(row: Mapping[str, str], options: Sequence[str]) -> str:
    """The text of the right option."""
    label = next((row[name].strip().upper() for name in LABELS if row.get(name, "").strip()), "")
    field = next((name for name in ANSWERS if row.get(name, "").strip()), "")
    if not field and not label:
        raise RecordError("is empty", field=ANSWERS[0])
    answer = _LETTER.sub("", row.get(field, "")).strip() if field else ""
    if answer in options:
        if label and (len(label) > 1 or label not in "ABCD" or options["ABCD".index(label)] != answer):
            raise RecordError(f"{label!r} is not the letter of {answer!r}", field=LABELS[0])
        return answer
    letter = answer if re.fullmatch("[A-D]", answer) else label
    if not re.fullmatch("[A-D]", letter):
        raise RecordError(f"{answer!r} is none of the choices {list(options)}", field=field or LABELS[0])
    return options["ABCD".index(letter)]
