"""VLMEvalKit's TSV: one file, one line an item, pictures as base64.

https://github.com/open-compass/VLMEvalKit/blob/main/docs/en/Development.md: `index` (integer, unique), `image` (base64
of the picture; a list of them with a list `image_path` of names where an item has several), `question`, the options in
columns `A`, `B`, ..., `answer` (a letter there), `category`, `l2-category`, `split`. The file lies in `$LMUData`, and
its name is the data set's: a file with options is asked as a custom multiple choice, any other as custom VQA.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from osler.evaluation.export.base import Exported, entries, export_name, picture_bytes, prompt_text
from osler.evaluation.items import Item
from osler.evaluation.plan import Plan
from osler.record_atomic import atomic_write

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
READ_AS_MISSING = frozenset(
    {
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan", "null",
    }
)  # fmt: skip
"""Cells that pandas.read_csv, by which VLMEvalKit reads the file, takes for missing ones."""


def write_tsv(plan: Plan, out: Path) -> Exported:
    """Write `<name>.tsv` into a folder."""
    choice = all(item.options for item in plan.items)
    most = max(len(item.options) for item in plan.items) if choice else 0
    several = any(len(item.images) > 1 for item in plan.items)
    columns = ["index", "id", "image", *(["image_path"] if several else []), "question", *LETTERS[:most], "answer"]
    columns += ["category", "l2-category", "split"]
    name = export_name(plan)
    lost = 0
    with atomic_write(out / f"{name}.tsv") as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for number, (record, item) in enumerate(entries(plan)):
            pictures = [base64.b64encode(picture_bytes(plan, image)).decode() for image in record.images]
            question = record.question if choice else prompt_text(plan, record)
            row = {"index": number, "id": item.id, "question": question, **_pictures(number, pictures, several)}
            row |= dict(zip(LETTERS, item.options, strict=False)) if choice else {}
            row["answer"] = LETTERS[item.options.index(item.reference)] if choice else item.reference
            row |= {"category": item.question_type, "l2-category": _group(item), "split": plan.split}
            writer.writerow(row)
            shown = [row["answer"], row["question"], *(item.options if choice else ())]
            lost += any(str(cell).strip() in READ_AS_MISSING for cell in shown)
        text.detach()
    return Exported(
        path=out / f"{name}.tsv",
        items=len(plan.items),
        name=name,
        command=f"LMUData={out} python run.py --data {name} --model MODEL" + ("" if choice else " --mode infer"),
        remarks=_remarks(plan, choice, lost),
    )


def _pictures(number: int, pictures: Sequence[str], several: bool) -> dict[str, str]:
    """Cells of the pictures; a list is written as Python prints it, which VLMEvalKit reads back."""
    if len(pictures) == 1:
        return {"image": pictures[0], **({"image_path": f"{number}.jpg"} if several else {})}
    names = [f"{number}_{position}.jpg" for position in range(1, len(pictures) + 1)]
    return {"image": str(list(pictures)), "image_path": str(names)} if pictures else {"image": ""}


def _group(item: Item) -> str:
    """The first tag that scores are grouped by."""
    return next(iter(item.tags.values()), item.question_type)


def _remarks(plan: Plan, choice: bool, lost: int) -> tuple[str, ...]:
    said = []
    if choice:
        said.append("VLMEvalKit words multiple choice itself: the prompt is not that of this task.")
    else:
        said.append(
            "VLMEvalKit gathers answers to custom VQA without scoring them: its columns id and prediction are what "
            "`osler eval --answers` scores."
        )
    if any(not item.images for item in plan.items):
        said.append("Items without a picture are dropped by VLMEvalKit.")
    if lost:
        said.append(f"{lost} items have a text such as None or NA, which pandas reads as missing: check them there.")
    return tuple(said)
