r"""`llava-med-chat`: LLaVA-Med's chat questions with text-only GPT-4 answers (arXiv 2306.00890, CC BY-NC 4.0).

`llava_med_eval_qa50_qa.jsonl`: 193 lines on 50 pictures with `question_id`, `image`, `pair_id`, `text`
("question\n<image>"), `gpt4_answer`, `fig_caption`, `in_text_mention` (a list of `{tokens, entities}`, or null),
`domain` (five booleans), `type` ("conversation", "detailed_description"), `fig_label`. The addresses that its
repository names no longer answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import RecordError
from osler.records import IMAGE_PLACEHOLDER
from osler.sources.box_source import Layout
from osler.sources.json_rows import image_file, key, objects, text
from osler.sources.own_copy import OwnCopySource
from osler.sources.question_records import QuestionRecords

FILE = "llava_med_eval_qa50_qa.jsonl"
ITEMS, PICTURES = 193, 50
DOMAINS = ("chest_xray", "mri", "histology", "gross", "ct_scan")
"""In this order: an item belongs to the first that is true."""
TYPES = ("conversation", "detailed_description")


class LlavaMedChatSource(OwnCopySource):
    """Open questions to be judged beside an answer that GPT-4 gave from the caption."""

    name = "llava-med-chat"
    title = "LLaVA-Med chat evaluation"
    licence = "CC-BY-NC-4.0"
    url = "https://github.com/microsoft/LLaVA-Med"
    description = "193 questions on 50 figures, by domain and type, with reference answers and what a judge may read."
    layout: Layout = "documented"
    revision = "v1.0.0 of the repository (the file is not in it any more)"
    access = "its public addresses are gone; you need a copy that somebody kept, file and pictures."
    wanted = FILE
    options: ClassVar[Mapping[str, str]] = {
        "from": f"folder that holds {FILE}",
        "images": "folder of the pictures, inside that folder (default: images, or the folder itself)",
    }

    def present(self, home: Path) -> bool:
        """The question file."""
        return (home / FILE).is_file()

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records of all lines."""
        prefix = str(options.get("images") or ("images" if (home / "images").is_dir() else "")).strip("/")
        out = QuestionRecords(home, self.name, self.licence, self.url)
        for line, row in objects(home / FILE):
            with out.row(FILE, line):
                if row is None:
                    raise RecordError("is no JSON object with a question")
                _add(out, row, prefix, where=f"{FILE}:{line}")
        records = out.parts.get("test", [])
        pictures = {record.images[0].path for record in records}
        if (len(records), len(pictures)) != (ITEMS, PICTURES):
            return out, [f"{len(records)} items on {len(pictures)} pictures; published are {ITEMS} on {PICTURES}."]
        return out, []


def _add(out: QuestionRecords, row: Mapping[str, Any], prefix: str, *, where: str) -> None:
    asked = text(row, "text")
    if asked.count(IMAGE_PLACEHOLDER) != 1:
        raise RecordError(f"want one {IMAGE_PLACEHOLDER}, not {asked.count(IMAGE_PLACEHOLDER)}", field="text")
    kind = text(row, "type")
    if kind not in TYPES:
        raise RecordError(f"is {kind!r}; want {' or '.join(TYPES)}", field="type")
    domain = row.get("domain")
    if not isinstance(domain, dict):
        raise RecordError(f"want five booleans, not {domain!r:.80}", field="domain")
    first = next((name for name in DOMAINS if domain.get(name) is True), None)
    if first is None:
        raise RecordError(f"none of {', '.join(DOMAINS)} is true", field="domain")
    image = text(row, "image")
    out.add(
        "test",
        name=key(row, "question_id"),
        field="question_id",
        question=asked.replace(IMAGE_PLACEHOLDER, "").strip(),
        answer=text(row, "gpt4_answer"),
        images=[image_file(out.images, f"{prefix}/{image}" if prefix else image, field="image")],
        image_first=asked.startswith(IMAGE_PLACEHOLDER),
        where=where,
        tags={"question_type": kind, "answer_type": "OPEN", "domain": first, "judge_context": judge_context(row)},
        notes={"pair_id": str(row.get("pair_id") or "")},
        generator="GPT-4-0314, from caption and article text",
    )


def judge_context(row: Mapping[str, Any]) -> str:
    """What the judge is told about the picture: caption, and sentences of the article as the released code prints them.

    The list of mentions stands there as Python prints it, which the released prompt does too.
    """
    caption = f"Figure Caption:\n{row.get('fig_label') or ''}: {text(row, 'fig_caption')}"
    mentions = row.get("in_text_mention")
    return caption if not mentions else f"{caption}\n\nFigure Context:\n\t- {mentions}"
