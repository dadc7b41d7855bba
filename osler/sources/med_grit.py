"""`med-grit`: Med-GRIT-270k, questions that name or ask for boxes (Huang et al., arXiv 2406.18146).

`Test_VG.json`, `Test_RO.json`, `Test_GC.json`, `Test_MII.json`: lists of `{"id", "conversations": [[question, answer],
...]}` (https://github.com/overloadedHenry/ClinKD, whose converter also reads Qwen-VL's form, `[{"from", "value"},
...]`). The picture is `<id>.png`, its modality the part of the id before the first underscore. Boxes are written
`<box>(x1,y1),(x2,y2)</box>`; that they count in thousandths of the picture, as Qwen-VL does, is our reading.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler import box_formats
from osler.errors import ImageError, RecordError
from osler.record_ids import stable_id
from osler.sources.box_source import Layout
from osler.sources.json_rows import image_file, key, objects
from osler.sources.own_copy import OwnCopySource
from osler.sources.question_records import QuestionRecords

FILES = {"vg": "Test_VG.json", "roc": "Test_RO.json", "rc": "Test_GC.json", "mia": "Test_MII.json"}
MODALITIES = ("ct", "mr", "x", "pet", "endoscopy", "dermoscopy", "fundus", "ultrasound")
BOX_FORMAT = "norm1000_xyxy"
_TAGS = re.compile(r"<img>.*?</img>|<image>|<\|?box_start\|?>|<\|?box_end\|?>", re.DOTALL)
_BOXES = {"box_start": "<box>", "box_end": "</box>"}


class MedGritSource(OwnCopySource):
    """Grounding, referring classification, referring captions and image analysis in eight modalities."""

    name = "med-grit"
    title = "Med-GRIT-270k (test part)"
    licence = "by request; pictures are those of SAM-Med2D's sources"
    url = "https://github.com/ShawnHuang497/BiRD"
    description = "Four tasks on pictures with boxes. All go to test.jsonl, one record a question, with the tag `task`."
    layout: Layout = "not verified"
    revision = "as ClinKD's converter at 2d78638 reads it"
    access = "on request: fill in the form that its repository names."
    wanted = "Test_VG.json, Test_RO.json, Test_GC.json or Test_MII.json"
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder that holds the Test_*.json files",
        "images": "folder of the pictures, inside that folder (default: images, or the folder itself)",
    }

    def present(self, home: Path) -> bool:
        """Any of the four files."""
        return any((home / name).is_file() for name in FILES.values())

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of the tasks that are there."""
        prefix = str(options.get("images") or ("images" if (home / "images").is_dir() else "")).strip("/")
        out = QuestionRecords(home, self.name, self.licence, self.url)
        for task, name in FILES.items():
            path = home / name
            for line, row in objects(path) if path.is_file() else ():
                with out.row(path, line):
                    if row is None:
                        raise RecordError("is no JSON object with conversations")
                    _add(out, task, row, prefix, file=name, line=line)
        return out, ["Boxes are read in thousandths of the picture (norm1000_xyxy), which no document states."]


def pairs(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Questions and answers of an item, in either form.

    Raises:
        RecordError: when the conversation has neither.
    """
    turns = row.get("conversations")
    if isinstance(turns, list) and turns and all(isinstance(turn, dict) for turn in turns):
        values = [turn.get("value") for turn in turns]
        if [turn.get("from") for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
            raise RecordError("want turns of user and assistant, one after the other", field="conversations")
        turns = [values[index : index + 2] for index in range(0, len(values), 2)]
    if not isinstance(turns, list) or not turns:
        raise RecordError("want a list of questions with answers", field="conversations")
    found = []
    for pair in turns:
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(part, str) and part.strip() for part in pair)
        ):
            raise RecordError(f"want [question, answer], not {pair!r:.80}", field="conversations")
        found.append((plain(pair[0]), plain(pair[1])))
    return found


def plain(value: str) -> str:
    """A text without picture tags, and with Qwen-VL's box tags whichever of its tags stand there.

    Example:
        >>> plain("<img>ct_1.png</img> where? <|box_start|>(1,2),(3,4)<|box_end|>")
        'where? <box>(1,2),(3,4)</box>'
    """
    return _TAGS.sub(lambda tag: _BOXES.get(tag[0].strip("<|>"), ""), value).strip()


def _add(out: QuestionRecords, task: str, row: Mapping[str, Any], prefix: str, *, file: str, line: int) -> None:
    from osler.images import image_size

    name = key(row, "id")
    modality = name.split("_")[0].lower()
    if modality not in MODALITIES:
        raise RecordError(f"{name!r} does not begin with a modality: {', '.join(MODALITIES)}", field="id")
    picture = image_file(out.images, "/".join(part for part in (prefix, f"{name}.png") if part), field="id")
    try:
        size = image_size(out.images / picture)
    except ImageError as error:
        raise RecordError(error.reason or str(error), field="id") from error
    for number, (question, answer) in enumerate(pairs(row), start=1):
        regions = []
        if task == "vg":
            stated = box_formats.parse_boxes(answer, format=BOX_FORMAT, width=size[0], height=size[1])
            if not stated.boxes:
                raise RecordError(f"its answer {answer!r:.80} states no box", field="conversations")
            regions = [
                {"box": {"xyxy": list(box.xyxy()), "size": list(size)}, "label": "target"} for box in stated.boxes
            ]
        out.add(
            "test",
            name=f"{task}-{line}-{number}",
            question=question,
            answer=answer,
            images=[picture],
            sizes=[size],
            regions=regions,
            where=f"{file}:{line}",
            subject=stable_id(out.source, name),
            tags={
                "task": task,
                "question_type": "refer" if task == "vg" else task,
                "answer_type": "OPEN",
                "modality": modality,
                "dataset": "med-grit",
                "box_format": BOX_FORMAT,
            },
        )
