"""Write files in published layouts, and fetch them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from osler.record_files import read_records
from osler.records import Record
from osler.sources import Fetched, get


def picture(path: Path, width: int = 40, height: int = 30, seed: int = 0) -> Path:
    """A small noisy picture, another one for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def hub_image(folder: Path, seed: int = 0) -> dict[str, Any]:
    """A value of the Hub's `Image` column."""
    path = picture(folder / f"made-{seed}.png", seed=seed)
    return {"bytes": path.read_bytes(), "path": path.name}


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def rows_file(path: Path, rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.suffix == ".jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows, ensure_ascii=False))


def without(row: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != field}


def fetch(name: str, folder: Path, **options: Any) -> tuple[dict[str, list[Record]], list[dict[str, Any]], Fetched]:
    """Records by file, rejected rows, and what the source says."""
    fetched = get(name).get(folder, **options)
    records = {file: list(read_records(folder / file)) for file in fetched.files}
    rejects = folder / "rows.rejects.jsonl"
    aside = [json.loads(line) for line in rejects.read_text().splitlines()] if rejects.is_file() else []
    assert sum(fetched.rejects.values()) == len(aside)
    return records, aside, fetched


def told(aside: list[dict[str, Any]]) -> list[tuple[str, int, str | None]]:
    """File, row and field of each rejected row."""
    return [(row["file"], row["line"], row["field"]) for row in aside]
