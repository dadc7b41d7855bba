"""`refcoco-json`: referring expressions of a JSON file, as RefCOCO is passed around."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from osler.errors import EvaluationError
from osler.evaluation.tasks.phrases import Phrases, phrase_record, pixel_box
from osler.record_ids import stable_id
from osler.records import ImageRef, Record

_PHRASES = ("expression", "sent", "phrase")


class RefCocoJson(Phrases):
    """A JSON list (or JSON Lines) of `{"image", "width", "height", "expression", "bbox"}`, one expression a row.

    `data` is the file, or a folder with `<split>.json` or `<split>.jsonl`; image paths are relative to it. `expression`
    may be called `sent`, as in the JSON Lines of RefCOCO, RefCOCO+ and RefCOCOg that Qwen-VL's evaluation reads
    (`eval_mm/evaluate_grounding.py` of github.com/QwenLM/Qwen-VL). Their `bbox` holds pixel corners, which is
    convention `xyxy`; COCO's own left, top, width, height is `xywh`. `category` groups scores where rows have it.
    """

    name = "refcoco-json"
    description = "Referring expressions of a JSON file: the box of each"
    conventions = ("xyxy", "xywh")
    groups = ("category",)
    layout = "documented"

    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Items of a split.

        Raises:
            EvaluationError: when there is no such file, or a row is malformed; names file and row.
        """
        path = _rows_file(data, split)
        if path is None:
            raise EvaluationError(f"{data}: no file for split {split!r}; want {split}.json or {split}.jsonl")
        records: dict[str, Record] = {}
        for number, row in enumerate(_rows(path), start=1):
            where = f"{path}: row {number}"
            record = _record(row, layout=convention, where=where)
            records.setdefault(record.id, record)  # the same row twice is one item
        return list(records.values())

    def training(self, data: Path, *, convention: str) -> list[Record] | None:
        """Rows of `train.json`; None when there is no such file."""
        return self.load(data, split="train", convention=convention) if _rows_file(data, "train") else None


def _rows_file(data: Path, split: str) -> Path | None:
    if data.is_dir():
        return next((path for end in (".json", ".jsonl") if (path := data / f"{split}{end}").is_file()), None)
    return data if data.is_file() and split == "test" else None


def _rows(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, list):
        raise EvaluationError(f"{path}: holds a {type(content).__name__}; want a list of rows")
    return content


def _record(row: Any, *, layout: str, where: str) -> Record:
    if not isinstance(row, dict):
        raise EvaluationError(f"{where}: is a {type(row).__name__}; want an object")
    phrase = next((str(row[key]).strip() for key in _PHRASES if row.get(key)), "")
    size = row.get("width"), row.get("height")
    if not phrase or not row.get("image") or not all(isinstance(side, int) and side > 0 for side in size):
        raise EvaluationError(f"{where}: want image, width, height, expression and bbox; it has {', '.join(row)}")
    width, height = int(row["width"]), int(row["height"])
    box = pixel_box(row.get("bbox"), layout=layout, width=width, height=height, where=where)
    return phrase_record(
        name=stable_id("refcoco", str(row["image"]), phrase, *box.xyxy()),
        image=ImageRef(path=str(row["image"]), width=width, height=height),
        phrase=phrase,
        boxes=[box],
        category=str(row.get("category") or "unknown"),
        dataset="refcoco",
    )


TASK = RefCocoJson()
