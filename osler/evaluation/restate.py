"""Write the boxes in a record's texts in another format, for a model of another family."""

from __future__ import annotations

from osler import box_formats
from osler.box_scan import scan
from osler.boxes import Box
from osler.errors import BoxError, EvaluationError
from osler.evaluation.protocols.regions import DEFAULT_FORMAT
from osler.records import Record, Turn


def restate(record: Record, box_format: str) -> Record:
    """The record with every box of its turns in `box_format`, and the tag that says so.

    A box that is one of the record's regions is written from the region, so that nothing is rounded twice; another
    one is read and written again.

    Args:
        record: with one image; its present format is the tag `box_format`.
        box_format: name in `osler.box_formats`.

    Raises:
        EvaluationError: when the image size is unknown, or a text holds something like a box that is none.
    """
    old, new = (box_formats.get(name) for name in (record.tags.get("box_format", DEFAULT_FORMAT), box_format))
    if old.name == new.name:
        return record.model_copy(update={"tags": {**record.tags, "box_format": new.name}})
    size = image_size(record)
    if size is None:
        raise EvaluationError(f"record {record.id}: the size of its image is unknown; boxes cannot be restated")
    known = {old.encode(region.box): region.box for region in record.regions}

    def rewritten(text: str) -> str:
        fragments = scan(text)
        if len({fragment.start for fragment in fragments}) < len(fragments):
            raise EvaluationError(f"record {record.id}: several boxes share one pair of marks; write them one by one")
        for fragment in reversed(fragments):
            try:
                numbers = [float(token) for token in fragment.tokens]
                box = known.get((numbers[0], numbers[1], numbers[2], numbers[3])) if len(numbers) == 4 else None
                placed: Box = box or old.decode(numbers, *size)
            except BoxError as error:
                raise EvaluationError(f"record {record.id}: {fragment.text!r} is no box: {error}") from error
            end = fragment.start + len(fragment.text)
            text = text[: fragment.start] + new.to_text(placed) + text[end:]
        return text

    turns = tuple(Turn(role=turn.role, text=rewritten(turn.text)) for turn in record.turns)
    return record.model_copy(update={"turns": turns, "tags": {**record.tags, "box_format": new.name}})


def image_size(record: Record) -> tuple[int, int] | None:
    """Width and height in pixels of a record's only image, from its regions or its reference; None when unknown."""
    for region in record.regions:
        return region.box.width, region.box.height
    image = record.images[0] if record.images else None
    return (image.width, image.height) if image and image.width and image.height else None
