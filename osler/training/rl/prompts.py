"""From records to what a trainer of rewards takes: a prompt, its picture, and the columns that rewards read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osler.errors import RecipeError
from osler.records import Record

DEFAULT_FORMAT = "norm1000_xyxy"


class Prompts:
    """Rows of prompts, whose pictures are read when a row is asked for.

    Args:
        records: with one image and a user turn each.
        folders: image folder of each.
    """

    def __init__(self, records: Sequence[Record], folders: Sequence[Path]) -> None:
        self.records, self.folders = list(records), list(folders)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        from osler.training.collate import RecordDataset

        example = RecordDataset([self.records[index]], [self.folders[index]])[0]
        return row_of(example.record, example.images)


def row_of(record: Record, images: Sequence[Any]) -> dict[str, Any]:
    """Prompt and columns of a record: `prompt`, `images`, `id`, `boxes`, `size`, `category`, `synonyms`, `box_format`,
    `question`, `reference`.

    Args:
        record: with one image.
        images: the picture, decoded.
    """
    from osler.messages import to_messages

    head = []
    for turn in record.turns:
        head.append(turn)
        if turn.role == "user":
            break
    width, height = size_of(record, images[0])
    labels = list(dict.fromkeys(region.label for region in record.regions))
    table = json.loads(record.tags.get("synonyms", "{}"))
    return {
        "prompt": to_messages(tuple(head)),
        "images": list(images),
        "id": record.id,
        "boxes": [list(region.box.xyxy()) for region in record.regions],
        "size": [width, height],
        "category": labels,
        "synonyms": [word for label in labels for word in table.get(label, ())],
        "box_format": record.tags.get("box_format", DEFAULT_FORMAT),
        "question": record.question,
        "reference": record.answer,
    }


def size_of(record: Record, image: Any) -> tuple[int, int]:
    """Width and height of the stored image in pixels: as its regions say, or of the picture itself."""
    for region in record.regions:
        return region.box.width, region.box.height
    return image.size  # type: ignore[no-any-return]


def check_prompts(records: Sequence[Record], stage: str) -> None:
    """Refuse records that rewards cannot score.

    Raises:
        RecipeError: names the first record that has not exactly one image, no question or no reference, or none of
            whose fellows has a region.
    """
    for record in records:
        roles = {turn.role for turn in record.turns}
        if len(record.images) != 1 or not {"user", "assistant"} <= roles:
            raise RecipeError(
                f"stage {stage}: record {record.id!r} has {len(record.images)} images and turns of {sorted(roles)}; "
                "rewards want one image, a question and a reference"
            )
    if not any(record.regions for record in records):
        raise RecipeError(f"stage {stage}: no record has a region; make such records with `osler instruct abnormality`")
