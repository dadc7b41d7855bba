"""What both forms share: the checked items of a task, their prompts as plain text, their pictures as bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from osler.errors import EvaluationError
from osler.evaluation.items import Item, load_images
from osler.evaluation.plan import Plan, make_plan
from osler.evaluation.tasks.base import Task
from osler.record_images import resolve_image
from osler.records import IMAGE_PLACEHOLDER, ImageRef, Record

Form = Literal["vlmevalkit", "lmms-eval"]
FORMS: tuple[Form, ...] = get_args(Form)
_AS_THEY_ARE = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # JPEG and PNG, which every evaluator reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written.

    Args:
        path: the file or folder.
        items: how many.
        name: by which the other evaluator knows the task.
        command: how it is run there.
        remarks: what is different there, one sentence each.
    """

    path: Path
    items: int
    name: str
    command: str
    remarks: tuple[str, ...] = field(default=())


def export(
    task: str | Task,
    data: str | Path,
    out: str | Path,
    *,
    form: Form,
    split: str = "test",
    convention: str | None = None,
    limit: int | None = None,
    image_folder: str | Path | None = None,
) -> Exported:
    """Write the items of a task in the form of another evaluator.

    Args:
        task: name of a task, or a task.
        data: where it finds its records.
        out: folder to write into; made if absent.
        form: "vlmevalkit": one TSV file with the pictures in it; "lmms-eval": a folder with YAML, Python and parquet.
        split: of the task.
        convention: way to split; the task's first by default.
        limit: only so many items, chosen as `osler eval --limit` chooses.
        image_folder: that image paths are relative to, instead of the task's own.

    Raises:
        EvaluationError: unknown form; or as `osler eval` checks items before a model is loaded.
        ImageError: a picture cannot be read; nothing is put in its place.
    """
    if form not in FORMS:
        raise EvaluationError(f"no form {form!r} (there are: {', '.join(FORMS)})")
    plan = make_plan(
        task, data=data, split=split, convention=convention, limit=limit, controls=(), training=[],
        image_folder=image_folder, seed=0,
    )  # fmt: skip
    if form == "vlmevalkit":
        from osler.evaluation.export.tsv import write_tsv

        return write_tsv(plan, Path(out))
    from osler.evaluation.export.lmms_eval import write_lmms_eval

    return write_lmms_eval(plan, Path(out))


def export_name(plan: Plan) -> str:
    """Name of the task elsewhere: letters, digits and underscores.

    Example: `Osler_vqa_rad_official`; another split than test is named too.
    """
    parts = [plan.task.name, plan.convention, *([] if plan.split == "test" else [plan.split])]
    return "Osler_" + re.sub(r"[^A-Za-z0-9]+", "_", "_".join(parts)).strip("_")


def entries(plan: Plan) -> Iterator[tuple[Record, Item]]:
    """Records with their items, in order."""
    yield from zip(plan.records, plan.items, strict=True)


def prompt_text(plan: Plan, record: Record) -> str:
    """The prompt as one text without picture placeholders: system turns, then the question, a line each."""
    texts = (turn.text.replace(IMAGE_PLACEHOLDER, "").strip() for turn in plan.task.prompt(record))
    return "\n".join(text for text in texts if text)


def picture_bytes(plan: Plan, image: ImageRef) -> bytes:
    """A picture as JPEG or PNG: the file itself where it is one, or else what the model would be shown, as PNG.

    Raises:
        ImageError: it cannot be read.
    """
    path = resolve_image(plan.image_folder, image)
    if image.frame is None and image.window is None and path.is_file():
        content = path.read_bytes()
        if content.startswith(_AS_THEY_ARE):
            return content
    (shown,) = load_images([image], image_folder=plan.image_folder)
    stream = io.BytesIO()
    shown.save(stream, format="PNG")
    return stream.getvalue()
