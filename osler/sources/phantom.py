"""Phantom studies: procedural radiology-like pictures with exact ground truth, for studying methods at small scale.

`build` plans scenes, draws them and writes instruction conversations with longer paraphrases and boxes, short
questions for fine-tuning and testing, and held-out conversations for retrieval. Nothing is downloaded, nothing in it
is a patient, and one seed fixes every byte. See `docs/phantom.md` for what it can and cannot show.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from osler.boxes import Box
from osler.errors import OslerError, SourceError
from osler.record_atomic import atomic_write
from osler.record_files import write_records
from osler.record_ids import stable_id
from osler.records import ImageRef, Provenance, Record, Region, Turn
from osler.sources.phantom_picture import MAX_PIXELS, MIN_PIXELS, draw
from osler.sources.phantom_questions import CLOSED, ask_all
from osler.sources.phantom_scene import SPLITS, Scene, Split, plan
from osler.sources.phantom_talk import conversation
from osler.sources.phantom_text import GENERATOR

SOURCE = "phantom"
LICENCE = "CC0-1.0"
VERSION = 1
Size = Literal["tiny", "study", "large"]
# pictures by split
SIZES: dict[Size, dict[Split, int]] = {
    "tiny": {"instruct": 16, "train": 6, "dev": 4, "test": 8, "heldout": 6},
    "study": {"instruct": 4000, "train": 600, "dev": 150, "test": 300, "heldout": 256},
    "large": {"instruct": 20000, "train": 2000, "dev": 300, "test": 1000, "heldout": 512},
}
UNSEEN_WORDING = 1 / 3  # share of test questions
_PLAN, _DRAW, _TALK = range(3)  # streams of random numbers: changing one thing leaves the others as they were


class PhantomSummary(NamedTuple):
    """What `build` wrote.

    Args:
        folder: that holds `images/`, the JSONL files and `manifest.json`.
        records: count by file name.
        pictures: count by split.
    """

    folder: Path
    records: dict[str, int]
    pictures: dict[str, int]


class _Drawn(NamedTuple):
    reference: ImageRef
    boxes: tuple[Box, ...]


def build(
    folder: str | Path,
    *,
    size: Size = "study",
    seed: int = 0,
    pixels: int = 64,
    workers: int = 1,
    say: Callable[[str], None] | None = None,
) -> PhantomSummary:
    """Write a phantom set.

    The manifest is removed first and written last, and record files appear whole and after their pictures: a set with
    a manifest is complete. An interrupted build is finished by running it again.

    Args:
        folder: created if need be; its files of the same names are replaced.
        size: "tiny" (40 pictures), "study" (5,306) or "large" (23,812).
        seed: fixes every byte, whatever `workers` is. A set of another seed has other pictures throughout.
        pixels: side of the pictures, 48 to 128.
        workers: processes that draw.
        say: is told in one line at a time what is being done.

    Returns:
        Counts.

    Raises:
        SourceError: unknown size, negative seed, or `pixels` or `workers` out of range.
        OslerError: the disk is full or the folder not writable.
    """
    _check(size, seed, pixels, workers)
    folder = Path(folder)
    _clear(folder)
    plans = {
        split: plan(split, count, np.random.default_rng([seed, SPLITS.index(split), _PLAN]))
        for split, count in SIZES[size].items()
    }
    jobs = [(split, index, scene) for split, scenes in plans.items() for index, scene in enumerate(scenes)]
    if say is not None:
        say(f"drawing {len(jobs)} pictures")
    drawn: dict[Split, list[_Drawn]] = {split: [] for split in plans}
    paint = partial(_paint, folder=folder, seed=seed, pixels=pixels)
    with _mapper(workers) as mapped:
        for (split, _, _), result in zip(jobs, mapped(paint, jobs), strict=True):
            drawn[split].append(result)
    counts = {}
    for split, scenes in plans.items():
        if say is not None:
            say(f"writing {split}.jsonl")
        compose = _conversations if split in ("instruct", "heldout") else _questions
        records = compose(split, scenes, drawn[split], seed)
        counts[f"{split}.jsonl"] = write_records(records, folder / f"{split}.jsonl")
    pictures = {str(split): len(scenes) for split, scenes in plans.items()}
    _write_manifest(folder, size, seed, pixels, pictures, counts)
    return PhantomSummary(folder, counts, pictures)


def _check(size: str, seed: int, pixels: int, workers: int) -> None:
    if size not in SIZES:
        raise SourceError(f"size={size!r} is unknown; want {', '.join(get_args(Size))}")
    if seed < 0:
        raise SourceError(f"seed={seed} is negative; want 0 or more")
    if not MIN_PIXELS <= pixels <= MAX_PIXELS:
        raise SourceError(f"pixels={pixels} is out of range; want {MIN_PIXELS} to {MAX_PIXELS}")
    if workers < 1:
        raise SourceError(f"workers={workers} is no number of processes; want 1 or more")


def _clear(folder: Path) -> None:
    """Take an older set's record files away before its pictures are overwritten."""
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        for name in ("manifest.json", *(f"{split}.jsonl" for split in SPLITS)):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OslerError(f"{folder}: cannot be written: {error.strerror or error}; choose another folder") from error


@contextlib.contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterator[_Drawn]]]:
    if workers == 1:
        yield map
        return
    # spawn: a fork of a process that holds threads may hang
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=64)


def _paint(job: tuple[Split, int, Scene], *, folder: Path, seed: int, pixels: int) -> _Drawn:
    """Draw one picture and write it; every picture has random numbers of its own."""
    from PIL import Image

    split, index, scene = job
    picture = draw(scene, np.random.default_rng([seed, SPLITS.index(split), _DRAW, index]), pixels=pixels)
    stream = io.BytesIO()
    Image.fromarray(picture.grey).save(stream, "PNG")
    content = stream.getvalue()
    name = f"images/{split}-{index:05d}.png"
    try:
        (folder / name).write_bytes(content)
    except OSError as error:
        raise OslerError(f"{folder / name}: cannot be written: {error.strerror or error}") from error
    digest = hashlib.sha256(content).hexdigest()
    return _Drawn(ImageRef(path=name, width=pixels, height=pixels, sha256=digest), picture.boxes)


def _conversations(split: Split, scenes: Sequence[Scene], drawn: Sequence[_Drawn], seed: int) -> Iterator[Record]:
    rng = random.Random(f"{seed} {split} {_TALK}")
    for index, (scene, item) in enumerate(zip(scenes, drawn, strict=True)):
        exchanges = conversation(scene, rng, every_fact=split == "heldout")
        turns = [turn for exchange in exchanges for turn in (exchange.question, exchange.answer)]
        kind = "caption" if len(exchanges) == 1 else "conversation"
        record = _record(split, index, scene, item, seed, [kind], turns, {"question_type": kind, "wording": "seen"})
        yield record.model_copy(update={"extended": tuple(exchange.extended for exchange in exchanges)})


def _questions(split: Split, scenes: Sequence[Scene], drawn: Sequence[_Drawn], seed: int) -> Iterator[Record]:
    rng = random.Random(f"{seed} {split} {_TALK}")
    for asked in ask_all(scenes, rng, unseen_wording=UNSEEN_WORDING if split == "test" else 0.0):
        tags = {
            "question_type": asked.type,
            "answer_type": "CLOSED" if asked.type in CLOSED else "OPEN",
            "wording": "seen" if asked.seen_wording else "unseen",
        }
        parts = [asked.type, asked.question]
        turns = [asked.question, asked.answer]
        yield _record(split, asked.scene, scenes[asked.scene], drawn[asked.scene], seed, parts, turns, tags)


def _record(
    split: Split,
    index: int,
    scene: Scene,
    item: _Drawn,
    seed: int,
    parts: Sequence[str],
    turns: Sequence[str],
    tags: dict[str, str],
) -> Record:
    study = stable_id(SOURCE, VERSION, seed, split, index)
    return Record(
        id=stable_id(SOURCE, VERSION, seed, split, index, *parts),
        images=(item.reference,),
        turns=tuple(
            Turn(role="assistant" if number % 2 else "user", text=text if number else f"<image>\n{text}")
            for number, text in enumerate(turns)
        ),
        regions=tuple(
            Region(box=box, label=finding.kind) for finding, box in zip(scene.findings, item.boxes, strict=True)
        ),
        subject=study,
        study=study,
        tags={
            **tags,
            "modality": scene.modality,
            "organ": scene.organ,
            "count": scene.count,
            "combination": "seen" if scene.seen else "unseen",
        },
        provenance=Provenance(source=SOURCE, licence=LICENCE, split=split, generator=GENERATOR),
    )


def _write_manifest(
    folder: Path, size: Size, seed: int, pixels: int, pictures: dict[str, int], counts: dict[str, int]
) -> None:
    content = {
        "name": SOURCE,
        "version": VERSION,
        "size": size,
        "seed": seed,
        "pixels": pixels,
        "licence": LICENCE,
        "generator": GENERATOR,
        "pictures": pictures,
        "records": counts,
    }
    with atomic_write(folder / "manifest.json") as stream:
        stream.write((json.dumps(content, indent=1) + "\n").encode())
