"""`Item`: what scoring needs to know about a record; and its prompt as a `Request`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osler.evaluation.controls import UNKNOWN_TYPE, blank_image, noise_image, question_type, without_placeholders
from osler.evaluation.groups import groups_of
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.tasks.base import Task
from osler.records import ImageRef, Record

if TYPE_CHECKING:
    from PIL.Image import Image

    from osler.evaluation.runners.base import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question with its gold answer.

    Args:
        id: of the record.
        question: first user turn without placeholders.
        reference: gold answer.
        question_type: tag, or "unknown".
        answer_type: tag in upper case, or None.
        images: paths as the record has them.
        cluster: what intervals resample by: the item's images, so that questions on one image stay
            together; slices of one volume count as one image.
        options: candidate answers in the order shown, where the task has them.
        tags: of the record, those that the task groups its scores by ("unknown" where the record lacks one), and its
            groups (`osler.evaluation.groups`) as far as it tells them.
        regions: true boxes with their classes, and the format that boxes are written in; None where the task has none.
    """

    id: str
    question: str
    reference: str
    question_type: str
    answer_type: str | None
    images: tuple[str, ...]
    cluster: str
    options: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    regions: Regions | None = None


def to_item(task: Task, record: Record) -> Item:
    """Read a record the way a task does."""
    images = tuple(image.path for image in record.images)
    return Item(
        id=record.id,
        question=record.question,
        reference=task.reference(record),
        question_type=question_type(record),
        answer_type=record.tags["answer_type"].strip().upper() if "answer_type" in record.tags else None,
        images=images,
        cluster=" ".join(images) or record.id,
        options=task.options(record),
        tags={**{tag: record.tags.get(tag, UNKNOWN_TYPE) for tag in task.groups}, **groups_of(record.tags)},
        regions=task.regions(record),
    )


def to_request(
    task: Task,
    record: Record,
    *,
    image_folder: Path,
    max_side: int | None = None,
    condition: str = "real",
    images_of: Record | None = None,
    seed: int = 0,
) -> Request:
    """Prompt of a record, with the images that a condition shows.

    Args:
        task: gives the prompt.
        record: to ask.
        image_folder: that image paths are relative to.
        max_side: shrink images to this long side, in pixels, before the model's processor sees them.
        condition: "blank", "noise" and "text-only" change or take away the images; every other shows them.
        images_of: show the images of this record instead.
        seed: of the noise.

    Raises:
        ImageError: when an image cannot be read; nothing is put in its place.
    """
    from osler.evaluation.runners.base import Request

    if condition == "text-only":
        return Request(turns=without_placeholders(task.prompt(record)))
    shown = load_images((images_of or record).images, image_folder=image_folder, max_side=max_side)
    if condition == "blank":
        shown = [blank_image(image) for image in shown]
    elif condition == "noise":
        # one noise for one picture, whatever is asked about it
        keys = [f"{seed}\x1f{image.path}\x1f{image.frame}" for image in record.images]
        shown = [noise_image(image, key=key) for image, key in zip(shown, keys, strict=True)]
    return Request(turns=task.prompt(record), images=tuple(shown))


def load_images(images: Sequence[ImageRef], *, image_folder: Path, max_side: int | None = None) -> list[Image]:
    """Decode the images of a record in RGB, with the frame and window it names.

    The last few are kept, because several questions about one picture come together: treat them as read-only.
    """
    from osler.record_images import resolve_image

    shown = []
    for image in images:
        path = resolve_image(image_folder, image)
        state = path.stat() if path.is_file() else None
        changed = (state.st_mtime_ns, state.st_size) if state else None
        window = tuple(sorted(image.window.items())) if image.window is not None else None
        shown.append(_picture(path, image.frame, window, max_side, changed))
    return shown


@lru_cache(maxsize=8)
def _picture(path: Path, frame: Any, window: Any, max_side: int | None, changed: Any) -> Image:
    from osler.images import load_image

    return load_image(path, frame=frame, window=None if window is None else dict(window), max_side=max_side).image
