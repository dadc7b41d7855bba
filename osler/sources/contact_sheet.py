"""Contact sheet: records as one self-contained HTML page, with pictures, boxes, texts and filters."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from osler.errors import OslerError
from osler.record_files import resolve_image
from osler.records import IMAGE_PLACEHOLDER, ImageRef, Record

THUMBNAIL_SIDE = 320
MAX_FILTER_VALUES = 40
_TEMPLATES = Path(__file__).parent / "templates"


class SheetSummary(NamedTuple):
    """What `write_contact_sheet` wrote.

    Args:
        path: of the page.
        shown: records on it.
        total: records given.
        failures: one line for each image that could not be read.
    """

    path: Path
    shown: int
    total: int
    failures: tuple[str, ...]


def write_contact_sheet(
    records: Sequence[Record],
    images: str | Path,
    out: str | Path,
    *,
    limit: int = 200,
    title: str = "Records",
    allow_absolute: bool = False,
) -> SheetSummary:
    """Write a page that shows records as a person would check them.

    Args:
        records: to show; with more than `limit`, evenly spaced ones.
        images: image folder of the record set.
        out: HTML file.
        limit: at most so many records.
        title: heading.
        allow_absolute: see `osler.record_files.resolve_image`.

    Returns:
        Counts, and the images that could not be read; their records are shown with the reason in place of the picture.

    Raises:
        OslerError: the page cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader

    step = max(1.0, len(records) / limit)
    chosen = [records[int(number * step)] for number in range(min(limit, len(records)))]
    cache: dict[tuple[str, int | None, str], str] = {}
    failures: list[str] = []
    cards = [_card(record, Path(images), cache, failures, allow_absolute) for record in chosen]
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True)
    page = environment.get_template("contact_sheet.html").render(
        title=title, cards=cards, filters=_filters(cards), total=len(records)
    )
    path = Path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OslerError(f"{path}: cannot be written ({error.strerror})") from error
    return SheetSummary(path, len(chosen), len(records), tuple(failures))


def _card(
    record: Record,
    folder: Path,
    cache: dict[tuple[str, int | None, str], str],
    failures: list[str],
    allow_absolute: bool,
) -> dict[str, Any]:
    pictures = []
    for index, reference in enumerate(record.images):
        key = (reference.path, reference.frame, str(reference.window))
        try:
            if key not in cache:
                cache[key] = _thumbnail(folder, reference, allow_absolute)
            source, problem = cache[key], ""
        except OslerError as error:
            source, problem = "", str(error)
            failures.append(f"{record.id}: {error}")
        boxes = []
        for region in record.regions:
            if region.image == index:
                x1, y1, x2, y2 = region.box.xyxy()
                width, height = region.box.width, region.box.height
                boxes.append(
                    {
                        "label": region.label,
                        "left": 100 * x1 / width,
                        "top": 100 * y1 / height,
                        "width": 100 * (x2 - x1) / width,
                        "height": 100 * (y2 - y1) / height,
                    }
                )
        pictures.append({"source": source, "problem": problem, "boxes": boxes, "path": reference.path})
    facts = dict(record.tags)
    if record.provenance.split:
        facts["split"] = record.provenance.split
    return {
        "id": record.id,
        "pictures": pictures,
        "turns": [
            {"role": turn.role, "text": turn.text.replace(IMAGE_PLACEHOLDER, "").strip()} for turn in record.turns
        ],
        "extended": list(record.extended),
        "facts": facts,
        "subject": (record.subject or "")[:10],
        "source": record.provenance.source,
        "licence": record.provenance.licence,
        "notes": record.provenance.notes,
    }


def _thumbnail(folder: Path, reference: ImageRef, allow_absolute: bool) -> str:
    """JPEG data address of an image as the model would see it: frame and window applied."""
    from osler.images import load_image

    path = resolve_image(folder, reference, allow_absolute=allow_absolute)
    window: Any = (
        reference.window if reference.window and path.suffix.lower() not in (".png", ".jpg", ".jpeg") else None
    )
    loaded = load_image(path, frame=reference.frame, window=window, max_side=THUMBNAIL_SIDE)
    buffer = io.BytesIO()
    loaded.image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _filters(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tags with at least two values, and how often each value occurs."""
    counts: dict[str, Counter[str]] = {}
    for card in cards:
        for name, value in card["facts"].items():
            counts.setdefault(name, Counter())[value] += 1
    return [
        {"name": name, "values": sorted(values.items())}
        for name, values in sorted(counts.items())
        if 2 <= len(values) <= MAX_FILTER_VALUES
    ]
