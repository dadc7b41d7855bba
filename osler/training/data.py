"""The records of a stage: read, checked before a model is loaded, mixed by weight."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from osler.errors import RecipeError
from osler.records import Record
from osler.training.alignment.texts import check_records
from osler.training.recipe import DataItem, Stage


@dataclass(frozen=True)
class Mixture:
    """Records with the folder each one's images are in.

    Args:
        records: in a fixed order; a record of weight 2 stands twice.
        folders: image folder of each.
        content: hash of the record sets, for the run's log.
    """

    records: list[Record]
    folders: list[Path]
    content: str


def load_item(item: DataItem, *, seed: int) -> Mixture:
    """Read one record set and apply its limit and weight.

    Args:
        item: of a recipe.
        seed: decides which records a limit or a fractional weight keeps.

    Raises:
        RecipeError: when the file or source is absent or the set is empty.
        RecordError: when a record does not validate; names file, line and field.
    """
    from osler.record_files import content_hash, read_records

    path = Path(item.records)
    if path.exists():
        records = list(read_records(path))
        folder = Path(item.images) if item.images else path.parent
    elif ":" in item.records:
        records, folder = _from_source(item)
    else:
        raise RecipeError(f"{item.records}: no such record file; make one with `osler data get` or give a path")
    if not records:
        raise RecipeError(f"{item.records}: holds no records")
    content = content_hash(records)
    if item.limit is not None and item.limit < len(records):
        records = _part(records, item.limit, seed)
    whole, fraction = int(item.weight), item.weight - int(item.weight)
    mixed = records * whole
    if fraction:
        mixed = mixed + _part(records, max(1, round(fraction * len(records))), seed)
    return Mixture(mixed, [folder] * len(mixed), content)


def _from_source(item: DataItem) -> tuple[list[Record], Path]:
    """`vqa-rad:train` or `vqa-rad:image-disjoint/train`, with the data set's folder in `images`."""
    source, _, option = item.records.partition(":")
    if source != "vqa-rad":
        raise RecipeError(f"{item.records}: no such file, and {source!r} is not a source that recipes read")
    if item.images is None:
        raise RecipeError(f"{item.records}: say where the data set lies with `images: FOLDER`")
    from osler.sources import vqa_rad

    convention, _, split = option.rpartition("/")
    # an unknown split or convention is answered there, with the known ones
    records = vqa_rad.load(Path(item.images), split=cast(Any, split), convention=cast(Any, convention or "official"))
    return list(records), Path(item.images)


def _part(records: list[Record], count: int, seed: int) -> list[Record]:
    """A fixed part of the records that does not depend on their order."""

    def rank(record: Record) -> str:
        return hashlib.sha256(f"{seed}:{record.id}".encode()).hexdigest()

    chosen = set(map(id, sorted(records, key=rank)[:count]))
    return [record for record in records if id(record) in chosen]


def load_stage(stage: Stage, *, seed: int) -> tuple[Mixture, Mixture | None]:
    """All training records of a stage, and its development records.

    Every image is looked for, and a picture on both sides is refused: a checkpoint chosen on pictures it was trained
    on is no choice.

    Raises:
        RecipeError: on a missing image, on an image shared between training and development, or on a record that
            lacks what the stage's alignment objective needs.
    """
    parts = [load_item(item, seed=seed) for item in stage.data]
    train = Mixture(
        [record for part in parts for record in part.records],
        [folder for part in parts for folder in part.folders],
        hashlib.sha256("".join(part.content for part in parts).encode()).hexdigest(),
    )
    dev = load_item(stage.dev, seed=seed) if stage.dev else None
    for mixture in (train, dev):
        if mixture:
            _check_images(stage.name, mixture)
    if stage.alignment_settings:
        check_records(train.records, stage.alignment_settings, stage.name)
    if dev:
        seen = {
            _key(folder, ref.path) for r, folder in zip(train.records, train.folders, strict=True) for ref in r.images
        }
        shared = sorted(
            {_key(folder, ref.path) for r, folder in zip(dev.records, dev.folders, strict=True) for ref in r.images}
            & seen
        )
        if shared:
            raise RecipeError(
                f"stage {stage.name}: {len(shared)} images are both in training and development data, "
                f"for instance {shared[0]}; split by image"
            )
    return train, dev


def _key(folder: Path, path: str) -> str:
    return str((folder / path).resolve())


def _check_images(stage: str, mixture: Mixture) -> None:
    from osler.record_files import resolve_image

    missing = []
    for record, folder in zip(mixture.records, mixture.folders, strict=True):
        for ref in record.images:
            path = resolve_image(folder, ref)
            if not path.is_file():
                missing.append(f"record {record.id!r}: {path}")
    if missing:
        raise RecipeError(
            f"stage {stage}: {len(missing)} images are missing, for instance {missing[0]}; "
            "set `images` to the folder their paths are relative to"
        )
