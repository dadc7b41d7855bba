"""Captions and pictures for rehearsal articles: ROCO's captions and a user's pictures, or phantom studies."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from osler.errors import SourceError
from osler.sources.phantom_picture import draw
from osler.sources.phantom_scene import Scene, plan
from osler.sources.phantom_talk import conversation

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
SIDE = 192
_DRAWN = 96


class Made(NamedTuple):
    """A caption, its licence, and a picture file.

    Args:
        caption: one line.
        licence: "CC BY" or "CC0".
        picture: bytes of the file.
        suffix: of its name.
    """

    caption: str
    licence: str
    picture: bytes
    suffix: str


def made_figures(captions: Path | None, pictures: Path | None, *, count: int, seed: int) -> Iterator[Made]:
    """As many as asked for; captions begin again when they are used up, pictures likewise.

    Args:
        captions: folder with ROCO's `captions.txt` and `licences.txt`; without it, captions tell what phantom studies
            show.
        pictures: folder of JPEG and PNG files; without it phantom studies are drawn. A phantom's caption tells what its
            picture shows; a ROCO caption has nothing to do with the picture beside it.
        count: figures.
        seed: fixes every byte.

    Raises:
        SourceError: a folder without captions or pictures.
    """
    texts = None if captions is None else roco_captions(captions)
    files = None if pictures is None else _picture_files(pictures)
    scenes = plan("instruct", count, np.random.default_rng([seed, 0]))
    for number, scene in enumerate(scenes):
        caption, licence = texts[number % len(texts)] if texts else (_told(scene, seed, number), "CC0")
        if files:
            file = files[number % len(files)]
            picture, suffix = file.read_bytes(), file.suffix.lower()
        else:
            picture, suffix = drawn(scene, seed, number), ".jpg"
        yield Made(caption, licence, picture, suffix)


def roco_captions(folder: Path) -> list[tuple[str, str]]:
    """(caption, licence) of ROCO's text files, those under CC BY or CC0.

    Raises:
        SourceError: `captions.txt` is absent or holds none.
    """
    path = folder / "captions.txt"
    licences: dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8")
        if (folder / "licences.txt").is_file():
            with (folder / "licences.txt").open(encoding="utf-8", newline="") as stream:
                licences = {row["ROCO_ID"]: row["CC"] for row in csv.DictReader(stream)}
    except (OSError, UnicodeDecodeError, KeyError) as error:
        raise SourceError(f"{path}: is not readable as ROCO's captions ({error})") from error
    found = []
    for line in text.splitlines():
        id, _, caption = line.partition("\t")
        licence = licences.get(id, "CC BY").strip()
        if caption.strip() and licence in ("CC BY", "CC0"):
            found.append((" ".join(caption.split()), licence))
    if not found:
        raise SourceError(f"{path}: holds no caption; want lines of id, tab, caption")
    return found


def _picture_files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    if not files:
        raise SourceError(f"{folder}: holds no JPEG or PNG file")
    return files


def _told(scene: Scene, seed: int, number: int) -> str:
    return conversation(scene, random.Random(f"{seed}-{number}"), every_fact=True)[0].answer


def drawn(scene: Scene, seed: int, number: int) -> bytes:
    """A phantom study as JPEG."""
    from PIL import Image

    picture = draw(scene, np.random.default_rng([seed, 1, number]), pixels=_DRAWN)
    stream = io.BytesIO()
    Image.fromarray(picture.grey).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()
