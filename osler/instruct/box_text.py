"""Boxes in the texts of a record, written anew for another family of models.

The numbers come from the record's regions, which are exact, not from the rounded ones in the text.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from osler import box_formats
from osler.box_formats import BoxFormat
from osler.errors import BoxError, RecordError
from osler.records import Record, Turn

_FAMILIES = {
    "qwen": "norm1000_xyxy",
    "qwen_vl": "norm1000_xyxy",
    "qwen2_vl": "norm1000_xyxy",
    "qwen3_vl": "norm1000_xyxy",
    "qwen3_vl_moe": "norm1000_xyxy",
    "llava": "norm1000_xyxy",
    "llava_next": "norm1000_xyxy",
    "llava_onevision": "norm1000_xyxy",
    "llava_mistral": "norm1000_xyxy",
    "llava_llama": "norm1000_xyxy",
    "osler_llava": "norm1000_xyxy",
    "minigpt": "norm100_xyxy",
    "minigpt4": "norm100_xyxy",
    "minigpt_v2": "norm100_xyxy",
}


def box_format_of(model_type: str) -> str:
    """The box format that a family of models is trained with; for LLaVA's family, which has none, ours.

    Args:
        model_type: as in a model's `config.json`; hyphens count as underscores.

    Raises:
        BoxError: for Qwen2.5-VL, whose pixels depend on the size it resizes each image to, and for unknown families.
    """
    name = model_type.lower().replace("-", "_")
    if name in ("qwen2_5_vl", "qwen2.5_vl"):
        raise BoxError(
            f"{model_type} counts pixels of the image as its processor resizes it, so no format of the original image "
            "is its own. Choose one: norm1000_xyxy teaches it another convention; or describe the resizing with "
            "osler.box_transforms.Transform, apply it to image and boxes, and take pixel_xyxy"
        )
    if name not in _FAMILIES:
        near = get_close_matches(name, _FAMILIES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise BoxError(f"no box format is known for {model_type!r}{hint} Name one of {', '.join(box_formats.names())}")
    return _FAMILIES[name]


def reformat_boxes(record: Record, box_format: str) -> Record:
    """The record with its boxes written in another format; id and all else stay.

    Every box text of the old format (tag `box_format`) in turns and extended texts is replaced by that of its region.
    Where two regions are equal in the old format but not in the new one, the first occurrence in a text is the first
    region's, the second the second's.

    Args:
        record: with the tag `box_format`, as `osler.instruct.abnormality` writes it.
        box_format: name of the new format.

    Raises:
        RecordError: without that tag, or when a text holds a box that no region of the record is.
        BoxError: when a format is unknown.
    """
    stated = record.tags.get("box_format")
    if stated is None:
        raise RecordError(
            f"record {record.id!r} does not say in which format its boxes are written", field="tags.box_format"
        )
    old, new = box_formats.get(stated), box_formats.get(box_format)
    texts: dict[str, list[str]] = {}
    for region in record.regions:
        texts.setdefault(old.to_text(region.box), []).append(new.to_text(region.box))
    size = next(((region.box.width, region.box.height) for region in record.regions), None)

    def rewrite(text: str, field: str) -> str:
        return _rewrite(text, texts, old, size or (1000, 1000), f"record {record.id!r}", field)

    turns = tuple(
        Turn(role=turn.role, text=rewrite(turn.text, f"turns.{number}.text"))
        for number, turn in enumerate(record.turns)
    )
    extended = tuple(rewrite(text, f"extended.{number}") for number, text in enumerate(record.extended))
    tags = {**record.tags, "box_format": box_format}
    return record.model_copy(update={"turns": turns, "extended": extended, "tags": tags})


def _rewrite(
    text: str, texts: dict[str, list[str]], old: BoxFormat, size: tuple[int, int], where: str, field: str
) -> str:
    used: dict[str, int] = {}

    def replacement(match: re.Match[str]) -> str:
        choices = texts[match[0]]
        number = used.get(match[0], 0)
        used[match[0]] = number + 1
        return choices[number % len(choices)]

    pattern = re.compile("|".join(re.escape(key) for key in sorted(texts, key=len, reverse=True)) or r"(?!)")
    left = box_formats.parse_boxes(pattern.sub(" ", text), format=old, width=size[0], height=size[1])
    if left.items or left.rejected:
        spare = left.rejected[0].text if left.rejected else old.to_text(left.boxes[0])
        raise RecordError(
            f"{where}: {spare} is no region of the record in {old.name}, so it cannot be rewritten", field=field
        )
    return pattern.sub(replacement, text)
