"""From records that have regions, whatever they ask, to one abnormality question for each image; and their classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from osler.errors import RecordError
from osler.evaluation.protocols.regions import DEFAULT_FORMAT
from osler.instruct.abnormality import abnormality_records
from osler.records import Record

CLASSES_TAG = "classes"
SYNONYMS_TAG = "synonyms"


def region_items(
    records: Sequence[Record],
    *,
    keeps: Callable[[str], bool] = lambda label: True,
    shows_nothing: Callable[[Record], bool] = lambda record: False,
    box_format: str = DEFAULT_FORMAT,
) -> list[Record]:
    """One record for each image: the fixed question, and an answer that states every region of the image.

    An image without regions becomes an item without abnormality when one of its records says that there is none, and
    otherwise no item, because nobody looked. How answers are worded is `osler.instruct.abnormality`'s affair.

    Args:
        records: of one split.
        keeps: which labels count.
        shows_nothing: whether a record says that its image shows nothing that would be a region.
        box_format: in which the answers state boxes.
    """
    labels = sorted({region.label for record in records for region in record.regions if keeps(region.label)})
    if not labels:
        return []
    asked = [
        record
        for record in records
        if any(region.label in labels for region in record.regions) or shows_nothing(record)
    ]
    return list(abnormality_records(asked, box_format=box_format, wording="fixed", classes=labels))


def with_vocabulary(records: Sequence[Record], synonyms: Mapping[str, Sequence[str]]) -> list[Record]:
    """Records with the tags `classes` (every class of any of them) and, where there are any, `synonyms` of all of them.

    Args:
        records: all items of a split; their own tag `synonyms` (JSON, class -> other names) counts too.
        synonyms: class -> other names.

    Raises:
        RecordError: when a tag is malformed, or one name stands for two classes.
    """
    classes = sorted({name for record in records for name in record_classes(record)}, key=str.casefold)
    known: dict[str, dict[str, None]] = {}
    for record in records:
        for category, others in _synonyms(record).items():
            known.setdefault(category, {}).update(dict.fromkeys(others))
    for category, more in synonyms.items():
        known.setdefault(category, {}).update(dict.fromkeys(more))
    tags = {CLASSES_TAG: json.dumps(classes, ensure_ascii=False)}
    if known:
        tags[SYNONYMS_TAG] = json.dumps({name: list(known[name]) for name in sorted(known)}, ensure_ascii=False)
    found = [record.model_copy(update={"tags": {**record.tags, **tags}}) for record in records]
    for record in found[:1]:
        synonyms_of(record)  # the same for all: one look finds a name with two meanings
    return found


def record_classes(record: Record) -> tuple[str, ...]:
    """Classes that an answer should name: of the tag `category`, or else the labels of the regions."""
    names = (
        record.tags["category"].split("|") if "category" in record.tags else [region.label for region in record.regions]
    )
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def synonyms_of(record: Record) -> dict[str, str]:
    """Other name -> class, of the tag `synonyms`.

    Raises:
        RecordError: when the tag is malformed, or one name stands for two classes.
    """
    names: dict[str, str] = {}
    for category, others in _synonyms(record).items():
        for other in others:
            if names.setdefault(other, category) != category:
                reason = f"record {record.id!r}: {other!r} stands for both {names[other]!r} and {category!r}"
                raise RecordError(reason, field=f"tags.{SYNONYMS_TAG}")
    return names


def _synonyms(record: Record) -> dict[str, list[str]]:
    try:
        content = json.loads(record.tags.get(SYNONYMS_TAG, "{}"))
        well = isinstance(content, dict) and all(
            isinstance(others, list) and all(isinstance(other, str) and other.strip() for other in others)
            for others in content.values()
        )
    except ValueError:
        well = False
    if not well:
        raise RecordError(
            f"record {record.id!r}: want JSON, class -> list of other names", field=f"tags.{SYNONYMS_TAG}"
        )
    return content  # type: ignore[no-any-return]


def image_size(record: Record) -> tuple[int, int] | None:
    """Width and height in pixels of a record's only image, from its regions or its reference; None when unknown."""
    for region in record.regions:
        return region.box.width, region.box.height
    image = record.images[0] if record.images else None
    return (image.width, image.height) if image and image.width and image.height else None
