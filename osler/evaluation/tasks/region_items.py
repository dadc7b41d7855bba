"""From records that have regions, whatever they ask, to one abnormality question for each image."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from osler import box_formats
from osler.boxes import Box
from osler.evaluation.controls import UNKNOWN_TYPE
from osler.evaluation.protocols.regions import DEFAULT_FORMAT
from osler.evaluation.tasks.region_text import QUESTION, region_answer
from osler.record_ids import stable_id
from osler.records import IMAGE_PLACEHOLDER, Record, Region, Turn

CLASSES_TAG = "classes"
SYNONYMS_TAG = "synonyms"


def is_item(record: Record) -> bool:
    """Whether a record already is a question about regions in the form of this module."""
    return record.tags.get("question_type") in ("abnormality", "region") and "box_format" in record.tags


def region_items(
    records: Sequence[Record],
    *,
    keep: Callable[[Region], bool] = lambda region: True,
    shows_nothing: Callable[[Record], bool] = lambda record: False,
    box_format: str = DEFAULT_FORMAT,
) -> list[Record]:
    """One record for each image: the fixed question, and an answer that states every region of the image.

    All records of an image are one: their regions are united, equal ones once. An image without regions becomes an
    item without abnormality when one of its records says so, and otherwise none, because nobody looked. Records of
    several images are left out.

    Args:
        records: of one split, in any order.
        keep: which regions count.
        shows_nothing: whether a record says that its image shows nothing that would be a region.
        box_format: in which the answers state boxes.
    """
    images: dict[tuple[str, int | None], list[Record]] = {}
    for record in records:
        if len(record.images) == 1:
            images.setdefault((record.images[0].path, record.images[0].frame), []).append(record)
    codec = box_formats.get(box_format)
    items = []
    for (path, frame), group in images.items():
        found: dict[tuple[Box, str], Region] = {}
        for record in group:
            for region in record.regions:
                if keep(region):
                    found.setdefault((region.box, region.label), region)
        if not found and not any(shows_nothing(record) for record in group):
            continue
        first = min(group, key=lambda record: record.id)
        boxes, labels = [box for box, _ in found], [label for _, label in found]
        dataset = first.tags.get("dataset", first.provenance.source)
        items.append(
            Record(
                id=stable_id("abnormality", dataset, path, frame),
                images=first.images,
                turns=(
                    Turn(role="user", text=f"{IMAGE_PLACEHOLDER}\n{QUESTION}"),
                    Turn(role="assistant", text=region_answer([codec.to_text(box) for box in boxes], labels)),
                ),
                regions=tuple(found.values()),
                subject=first.subject,
                study=first.study,
                tags={
                    "question_type": "abnormality",
                    "box_format": box_format,
                    "category": "|".join(dict.fromkeys(labels)),
                    "dataset": dataset,
                    "modality": first.tags.get("modality", UNKNOWN_TYPE),
                },
                provenance=first.provenance,
            )
        )
    return items


def with_vocabulary(records: Sequence[Record], synonyms: dict[str, str]) -> list[Record]:
    """Records with the tags `classes` (every class of any of them) and, where there are any, `synonyms`.

    Args:
        records: all items of a split.
        synonyms: other name -> class.
    """
    classes = sorted({name for record in records for name in record_classes(record)}, key=str.casefold)
    tags = {CLASSES_TAG: json.dumps(classes, ensure_ascii=False)}
    if synonyms:
        tags[SYNONYMS_TAG] = json.dumps(synonyms, ensure_ascii=False, sort_keys=True)
    return [record.model_copy(update={"tags": {**record.tags, **tags}}) for record in records]


def record_classes(record: Record) -> tuple[str, ...]:
    """Classes that an answer should name: of the tag `category`, or else the labels of the regions."""
    names = (
        record.tags["category"].split("|") if "category" in record.tags else [region.label for region in record.regions]
    )
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
