"""Small pictures for the tests of box sources."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from osler.sources import get


def picture(path: Path, width: int = 100, height: int = 80, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width, height)).save(path)


def fetch(name: str, home: Path, out: Path, **options: str):
    """(records by file name, what was set aside, what the source says) of a source."""
    from osler.record_files import read_records

    fetched = get(name).get(out, **{"from": str(home), **options})
    records = {file: list(read_records(out / file)) for file in fetched.files}
    aside = []
    if fetched.rejects:
        aside = [json.loads(line) for line in (out / "boxes.rejects.jsonl").read_text().splitlines()]
    return records, aside, fetched


def corners(record) -> list[tuple[float, ...]]:
    return [region.box.xyxy() for region in record.regions]


def labels(record) -> list[str]:
    return [region.label for region in record.regions]
