"""`medvh`: hallucination on chest X-rays (arXiv 2407.02730; https://github.com/dongzizhu/MedVH, PhysioNet `medvh`).

Question files are found by name, wherever they lie below the folder: `multi_choices/NOTA/test_nota_src.json` and so on
(one folder of the repository is called `baseline_worngful_image`). Rows of choices have `question_id`, `img_name`,
`question`, `choices` ("A: decreasing. B: acute. C: None of the above."), `gt`, `img_source`, `ori_id`; those of FCJ
`suggested_answer` too; reports have `report_id`, `src_img`, `image_name`, `gt_labels` (CheXpert's names), `img_source`.

Only the pictures of the wrongful-image task are public. Others are looked for beside the question file, then as
`ori_id` anywhere below `images=`: copies of MIMIC-CXR-JPG (credentialed), PMC-VQA, SLAKE and VQA-RAD. Those that are
used are copied below `images/`, one file for equal ones; items without a picture are set aside. Known about the files:
in NOTA, CLI and wrongful image the right letter is always the last one; the files of the abnormality task and its
baseline are identical; some `gt` of the wrongful-image baseline have an impossible letter.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError, SourceError
from osler.record_images import resolve_image
from osler.record_options import options_tag
from osler.sources.box_source import Layout
from osler.sources.json_rows import key, objects, text
from osler.sources.medvh_choices import right_choice, split_choices
from osler.sources.own_copy import OwnCopySource
from osler.sources.parquet_images import write_picture
from osler.sources.question_records import QuestionRecords

FILES = {
    "nota": ("test_nota_src.json", "test_NOTA.json"),
    "nota-baseline": ("test_nota_baseline_src.json", "test_nota_baseline.json", "test_NOTA_baseline.json"),
    "cli": ("test_cli_src.json", "test_cli.json"),
    "cli-baseline": ("test_cli_baseline_src.json", "test_cli_baseline.json"),
    "wrongful-image": ("test_wrongful_image_src.json", "test_wrongful_image.json"),
    "wrongful-image-baseline": ("test_wrongful_image_baseline_src.json", "test_wrongful_image_baseline.json"),
    "abnormality": ("test_pre_src.json", "test_pre.json"),
    "abnormality-baseline": ("test_pre_baseline_src.json", "test_pre_baseline.json"),
    "fcj": ("test_FCJ_src.json", "test_FCJ.json"),
    "report": ("test_report_generation_src.json", "test_report_generation.json"),
}
REPORT_QUESTION = "Write the findings section of the radiology report of this chest X-ray."
"""Ours: the prompt of the paper is not published."""
_PICTURES = (".jpg", ".jpeg", ".png")


class MedVhSource(OwnCopySource):
    """Questions that invite a hallucination, and their baseline twins."""

    name = "medvh"
    title = "MedVH (hallucination on chest X-rays)"
    licence = "PhysioNet Credentialed Health Data License 1.5.0; the repository states none"
    url = "https://physionet.org/content/medvh/"
    description = (
        "Six tasks: abnormality, wrongful image, none of the above, incorrect premise, false justification, reports; "
        "with their baseline twins. All go to test.jsonl, with the tag `task`."
    )
    layout: Layout = "documented"
    revision = "repository at bebf0f5 (2024-11-30); the files of PhysioNet 1.0.0 were not seen"
    access = (
        "question files are public (https://github.com/dongzizhu/MedVH); most pictures need a PhysioNet account with "
        "training and a signed agreement (MIMIC-CXR-JPG)."
    )
    wanted = "MedVH question file such as multi_choices/NOTA/test_nota_src.json"
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds multi_choices/ and text_generation/",
        "images": "comma list of folders that hold the pictures named by ori_id (default: those beside the questions)",
    }

    def present(self, home: Path) -> bool:
        """Any question file."""
        return bool(question_files(home))

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of all tasks that are there."""
        roots = [Path(part.strip()) for part in str(options.get("images") or "").split(",") if part.strip()]
        for root in roots:
            if not root.is_dir():
                raise SourceError(f"images={root}: no such folder")
        pictures = Pictures(folder, roots)
        out = QuestionRecords(folder, self.name, self.licence, self.url)
        forms: Counter[str] = Counter()
        for task, path in question_files(home).items():
            for line, row in objects(path):
                with out.row(path, line):
                    if row is None:
                        raise RecordError("is no JSON object with a question")
                    picture = pictures.of(row, path.parent)
                    where = f"{path.name}:{line}"
                    if task == "report":
                        _add_report(out, row, picture, where)
                    else:
                        forms[_add_choices(out, task, row, picture, where)] += 1
        found = Counter(record.tags["task"] for part in out.parts.values() for record in part)
        remarks = ["Items: " + ", ".join(f"{task} {count}" for task, count in found.items()) + "."]
        if forms["contradiction"]:
            remarks.append(
                f"{forms['contradiction']} right answers are stated with a letter that is not that of their text; the "
                "text was taken (tag gt_form)."
            )
        return out, remarks


def question_files(home: Path) -> dict[str, Path]:
    """Path of each task's file, below a folder; the one with sources of pictures before the one without."""
    found: dict[str, list[Path]] = {}
    for path in sorted(home.rglob("test_*.json")) if home.is_dir() else ():
        found.setdefault(path.name, []).append(path)
    chosen = {}
    for task, names in FILES.items():
        paths = [found[name][0] for name in names if name in found]
        if paths:
            chosen[task] = paths[0]
    return chosen


class Pictures:
    """Pictures of items, found beside the question file or by their original id, and copied into a folder."""

    def __init__(self, folder: Path, roots: Sequence[Path]) -> None:
        self._folder, self._roots = folder, roots
        self._by_stem: dict[str, Path] | None = None

    def of(self, row: Mapping[str, Any], beside: Path) -> str:
        """Path of an item's picture, relative to the folder.

        Raises:
            RecordError: when it is nowhere, or no picture.
        """
        field = "img_name" if "img_name" in row else "image_name"
        return write_picture({"bytes": self._find(row, beside, field).read_bytes()}, self._folder, field=field)

    def _find(self, row: Mapping[str, Any], beside: Path, field: str) -> Path:
        name = text(row, field)
        for folder in (beside, beside / "images"):
            try:
                path = resolve_image(folder, name)
            except RecordError as error:
                raise RecordError(error.reason, field=field) from error
            if path.is_file():
                return path
        original = str(row.get("ori_id") or row.get("src_img") or "")
        stem = Path(original).stem if Path(original).suffix.lower() in _PICTURES else Path(original).name
        if self._by_stem is None:
            files = (path for root in self._roots for path in root.rglob("*") if path.suffix.lower() in _PICTURES)
            self._by_stem = {path.stem: path for path in files}
        if stem and stem in self._by_stem:
            return self._by_stem[stem]
        source = row.get("img_source") or "its source"
        raise RecordError(
            f"{name!r} is not beside the questions, and {original!r} of {source} not in images=", field=field
        )


def _add_choices(out: QuestionRecords, task: str, row: Mapping[str, Any], picture: str, where: str) -> str:
    options = split_choices(text(row, "choices"))
    index, form = right_choice(row, options)
    tags = {
        "task": task,
        "question_type": task,
        "answer_type": "CLOSED",
        "options": options_tag(options),
        "dataset": str(row.get("img_source") or "unknown"),
        "gt_form": form,
    }
    common: dict[str, Any] = {
        "question": text(row, "question"),
        "answer": options[index],
        "images": [picture],
        "where": where,
        "field": "question_id",
        "notes": {"gt": text(row, "gt"), "ori_id": str(row.get("ori_id") or "")},
    }
    number = key(row, "question_id")
    if task == "fcj":
        suggested, _ = right_choice(row, options, "suggested_answer")
        if suggested == index:
            raise RecordError("is the right answer; it should be a wrong one", field="suggested_answer")
        out.add("test", name=f"fcj-baseline-{number}", tags={**tags, "task": "fcj-baseline"}, **common)
        tags["suggested"] = options[suggested]
    out.add("test", name=f"{task}-{number}", tags=tags, **common)
    return form


def _add_report(out: QuestionRecords, row: Mapping[str, Any], picture: str, where: str) -> None:
    labels = row.get("gt_labels")
    if not isinstance(labels, list) or not labels or not all(isinstance(name, str) and name.strip() for name in labels):
        raise RecordError(f"want a list of findings, not {labels!r:.80}", field="gt_labels")
    out.add(
        "test",
        name=f"report-{key(row, 'report_id')}",
        field="report_id",
        question=REPORT_QUESTION,
        answer=" ".join(f"{name.strip()}." for name in labels),
        images=[picture],
        where=where,
        tags={
            "task": "report",
            "question_type": "report",
            "answer_type": "OPEN",
            "dataset": str(row.get("img_source") or "unknown"),
            "findings": json.dumps([name.strip() for name in labels]),
        },
        notes={"src_img": str(row.get("src_img") or "")},
    )
