"""Results of finished runs: one small JSON each, from which every table and picture is rebuilt.

The files are also the resume point: a run whose file is there, with the same settings, is not run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osler.record_atomic import atomic_write
from osler.study.grid import Run, StudyError

SCHEMA = 1
ITEMS = "items.json"


@dataclass(frozen=True, slots=True)
class Items:
    """The test questions that all runs answered, in one order.

    Args:
        ids: of the records.
        images: picture of each.
        tags: question_type, combination and wording of each.
    """

    ids: list[str]
    images: list[str]
    tags: list[dict[str, str]]

    @property
    def fingerprint(self) -> str:
        """Hash of ids and pictures, stored with every result."""
        return hashlib.sha256(json.dumps([self.ids, self.images]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run.

    Args:
        run: which.
        content: of its file.
    """

    run: Run
    content: dict[str, Any]

    @property
    def right(self) -> list[int]:
        """1 for each test question answered rightly, in the order of `Items`."""
        return [int(mark) for mark in self.content["right"]]


def write_items(folder: Path, items: Items) -> None:
    """Write `items.json`, or check that the one there is the same.

    Raises:
        StudyError: when results of other questions are in the folder.
    """
    path = folder / ITEMS
    if path.is_file():
        if read_items(folder).fingerprint != items.fingerprint:
            raise StudyError(f"{path}: lists other test questions; choose another results folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows = [[i, image, *tags.values()] for i, image, tags in zip(items.ids, items.images, items.tags, strict=True)]
    columns = ["id", "image", *(items.tags[0] if items.tags else ())]
    lines = ",\n".join(json.dumps(row) for row in rows)
    with atomic_write(path) as handle:
        handle.write(f'{{"columns": {json.dumps(columns)}, "rows": [\n{lines}\n]}}\n'.encode())


def read_items(folder: Path) -> Items:
    """The questions of a results folder.

    Raises:
        StudyError: when the file is absent or not readable.
    """
    content = _read(folder / ITEMS)
    try:
        names = content["columns"][2:]
        rows = content["rows"]
        return Items(
            ids=[row[0] for row in rows],
            images=[row[1] for row in rows],
            tags=[dict(zip(names, row[2:], strict=True)) for row in rows],
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise StudyError(f"{folder / ITEMS}: is not a list of test questions: {error}") from error


def path_of(folder: Path, run: Run) -> Path:
    """File of a run's result."""
    return folder / f"{run.name}.json"


def write_result(folder: Path, run: Run, content: dict[str, Any]) -> Path:
    """Write a result; the file is whole or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {
        "schema": SCHEMA,
        "variant": run.variant,
        "fraction": run.fraction,
        "seed": run.seed,
        "budget": run.budget,
        **content,
    }
    with atomic_write(path_of(folder, run)) as handle:
        handle.write((json.dumps(named, indent=1) + "\n").encode())
    return path_of(folder, run)


def read_result(path: Path) -> Result:
    """One result.

    Raises:
        StudyError: names the file and what is wrong with it.
    """
    content = _read(path)
    try:
        run = Run(content["seed"], content["fraction"], content["variant"], content["budget"])
        if set(content["right"]) - {"0", "1"} or content["schema"] != SCHEMA:
            raise ValueError("`right` holds other marks than 0 and 1, or the schema is another")
    except (KeyError, TypeError, ValueError) as error:
        raise StudyError(f"{path}: is not a result of this study: {error}; delete it to run it again") from error
    return Result(run, content)


def read_results(folder: Path) -> list[Result]:
    """All results of a folder, in the order of their runs.

    Raises:
        StudyError: when there is none, a file is broken, or results answer other questions than `items.json` lists.
    """
    items = read_items(folder)
    found = [read_result(path) for path in sorted(folder.glob("*-s*-*.json"))]
    if not found:
        raise StudyError(f"{folder}: holds no results; run `osler study data-efficiency` first")
    for result in found:
        if result.content["items_sha256"] != items.fingerprint or len(result.right) != len(items.ids):
            raise StudyError(f"{path_of(folder, result.run)}: answers other questions than {folder / ITEMS} lists")
    return sorted(found, key=lambda result: result.run)


def finished(folder: Path, runs: Iterable[Run], settings_of: Any) -> set[Run]:
    """Runs whose result is there.

    Args:
        folder: of the results.
        runs: to look for.
        settings_of: gives the hash of a run's settings.

    Raises:
        StudyError: for a result of other settings, which must not be mixed with these.
    """
    done = set()
    for run in runs:
        path = path_of(folder, run)
        if not path.is_file():
            continue
        if read_result(path).content.get("settings_sha256") != settings_of(run):
            raise StudyError(
                f"{path}: was run with other settings (recipe, data or model); choose another results folder, "
                "or delete the file to run it again"
            )
        done.add(run)
    return done


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: not readable as JSON ({error}); delete it to run it again") from error
