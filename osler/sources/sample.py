"""The sample set "medmix": real medical pictures out of packages, with questions that need the picture.

`build` fetches packages, takes pictures out of volumes, clips, slides and stills, writes them as PNG or JPEG and
composes records from what is known about them. Whole volumes, slides, clips and near-duplicate groups lie in one
split, so that no test picture comes from a patient (as far as the packages tell patients apart) seen in training.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from osler.boxes import resize
from osler.images.fingerprints import file_sha256
from osler.images.info import fitted_size
from osler.packages import PACKAGES
from osler.record_files import write_records
from osler.record_ids import pseudonym, stable_id
from osler.records import ImageRef, Provenance, Record, Region, Turn
from osler.sources import sample_brain, sample_mammograms, sample_stills, sample_text, sample_volumes
from osler.sources.sample_pictures import LONG_SIDE, Picture, Say
from osler.sources.sample_sizes import QUOTAS, Size

SOURCE = "sample"
# not a secret: the names of public files need none; it only makes keys of one length
SALT = "osler sample set"
SPLITS = ("train", "dev", "test")


class SampleSummary(NamedTuple):
    """What `build` wrote.

    Args:
        folder: that holds `images/`, the JSONL files and `manifest.json`.
        records: count by file name.
        questions: count by split and question type.
        pictures: count by split and modality.
    """

    folder: Path
    records: dict[str, int]
    questions: dict[str, dict[str, int]]
    pictures: dict[str, dict[str, int]]


def build(folder: str | Path, *, size: Size = "demo", seed: int = 0, say: Say | None = None) -> SampleSummary:
    """Write the sample set.

    Args:
        folder: created if need be; its files of the same names are replaced.
        size: "demo" (197 MB of packages) or "full" (266 MB, more pictures and questions).
        seed: of the choice of pictures and wordings; the split of volumes, slides and clips does not depend on it.
        say: is told in one line at a time what is being done.

    Returns:
        Counts by file, question type and modality.

    Raises:
        SourceError: a package cannot be fetched or its content is unexpected.
    """
    folder = Path(folder)
    pictures = _collect(size, seed, say)
    present = [name for name in sample_text.MODALITIES if any(item.facts["modality"] == name for item in pictures)]
    rng = random.Random(seed)
    chosen: dict[str, list[tuple[str, Record]]] = {}
    by_key = {picture.key: picture for picture in pictures}
    assert len(by_key) == len(pictures), "picture keys must be unique"
    for split in SPLITS:
        quota = QUOTAS[size][split]
        own = [picture for picture in pictures if picture.split == split]
        rows = list(_questions(own, quota.questions, rng, present))
        rows += _conversations(own, quota.conversations, rng, present)
        rng.shuffle(rows)
        chosen[split] = rows
        if split == "train":
            chosen["stage1"] = list(_captions(own, quota.captions, rng))
    used = {key for rows in chosen.values() for key, _ in rows}
    if say is not None:
        say(f"writing {len(used)} pictures")
    references = _write_pictures(folder, [picture for picture in pictures if picture.key in used])
    records = {name: [_finish(record, references[key]) for key, record in rows] for name, rows in chosen.items()}
    for name, items in records.items():
        write_records(items, folder / f"{name}.jsonl")
    written = [picture for picture in pictures if picture.key in used]
    _write_manifest(folder, size, seed, written, references)
    return SampleSummary(
        folder,
        {f"{name}.jsonl": len(items) for name, items in records.items()},
        {
            name: dict(sorted(Counter(item.tags["question_type"] for item in items).items()))
            for name, items in records.items()
        },
        {
            split: dict(sorted(Counter(item.facts["modality"] for item in written if item.split == split).items()))
            for split in SPLITS
        },
    )


def _collect(size: Size, seed: int, say: Say | None) -> list[Picture]:
    full = size == "full"
    pictures = list(sample_volumes.pictures(say=say, per_plane=10 if full else 5, per_side=24 if full else 12))
    pictures += sample_stills.pictures(say=say)
    if full:
        pictures += sample_mammograms.pictures(say=say)
    pictures += sample_brain.pictures(
        seed=seed,
        pool=1500 if full else 500,
        test=28,
        dev=10,
        variants=6 if full else 3,
        say=say,
    )
    return pictures


def _questions(
    pictures: list[Picture], quota: dict[str, int], rng: random.Random, present: list[str]
) -> Iterator[tuple[str, Record]]:
    """Questions of each type, answers balanced, pictures of an answer spread over subjects."""
    for kind, count in quota.items():
        fitting = [picture for picture in pictures if kind in sample_text.applicable(picture)]
        if kind == "modality_check":
            by_answer = _group(fitting, lambda picture: picture.facts["modality"], rng)
            for number, picture in enumerate(_take(by_answer, count)):
                exchange = sample_text.ask(picture, kind, rng, wrong=number % 2 == 1, present=present)
                yield picture.key, _record(picture, [exchange])
            continue
        if kind == "organ":  # the others have one picture each: conversations and captions name them
            fitting = [picture for picture in fitting if picture.facts["organ"] in sample_text.ORGANS]
        if kind == "modality" and pictures and pictures[0].split != "train":
            fitting = [picture for picture in fitting if picture.facts["modality"] in sample_text.MODALITIES]
        key = {"modality": "modality", "organ": "organ", "plane": "plane"}.get(kind, kind)
        by_answer = _group(fitting, lambda picture, key=key: picture.facts[key], rng)  # type: ignore[misc]
        for picture in _take(by_answer, count):
            yield picture.key, _record(picture, [sample_text.ask(picture, kind, rng)])


def _group(pictures: list[Picture], key: Callable[[Picture], str], rng: random.Random) -> list[list[Picture]]:
    """Pictures by answer; within one, subjects take turns in random order."""
    groups: dict[str, dict[str, list[Picture]]] = defaultdict(lambda: defaultdict(list))
    for picture in pictures:
        groups[key(picture)][picture.subject].append(picture)
    result = []
    for answer in sorted(groups):
        queues = [rng.sample(items, len(items)) for items in groups[answer].values()]
        rng.shuffle(queues)
        result.append([queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)])
    return result


def _take(groups: list[list[Picture]], count: int) -> list[Picture]:
    """Up to `count` pictures, the same number from each group as far as it reaches, groups in turn."""
    turns = range(max(map(len, groups), default=0))
    return [group[turn] for turn in turns for group in groups if turn < len(group)][:count]


def _conversations(
    pictures: list[Picture], count: int, rng: random.Random, present: list[str]
) -> list[tuple[str, Record]]:
    rows = []
    by_modality = _group(pictures, lambda picture: picture.facts["modality"], rng)
    for picture in _take(by_modality, count):
        kinds = list(sample_text.applicable(picture))
        if len(kinds) < 2:
            continue
        kinds = rng.sample(kinds, min(len(kinds), 3))
        wrong = rng.random() < 0.5
        exchanges = [sample_text.ask(picture, kind, rng, wrong=wrong, present=present) for kind in kinds]
        rows.append((picture.key, _record(picture, exchanges)))
    return rows


def _captions(pictures: list[Picture], count: int, rng: random.Random) -> Iterator[tuple[str, Record]]:
    requests = (
        "Describe this image.",
        "What does the image show?",
        "Give a short caption for this image.",
        "Summarise what is seen here.",
    )
    by_kind = _group(pictures, lambda picture: f"{picture.facts['modality']} {picture.facts.get('organ')}", rng)
    for picture in _take(by_kind, count):
        text, longer = sample_text.caption(picture, rng)
        exchange = sample_text.Exchange("caption", rng.choice(requests), text, longer)
        yield picture.key, _record(picture, [exchange])


def _record(picture: Picture, exchanges: list[sample_text.Exchange]) -> Record:
    turns = []
    for number, exchange in enumerate(exchanges):
        text = f"<image>\n{exchange.question}" if number == 0 else exchange.question
        turns += [Turn(role="user", text=text), Turn(role="assistant", text=exchange.answer)]
    kind = exchanges[0].type if len(exchanges) == 1 else "conversation"
    tags = {"question_type": kind, "modality": picture.facts["modality"], "package": picture.package}
    if len(exchanges) == 1 and kind != "caption":
        tags["answer_type"] = "CLOSED" if kind in sample_text.CLOSED else "OPEN"
    if "organ" in picture.facts:
        tags["organ"] = picture.facts["organ"]
    package = PACKAGES[picture.package]
    questions = "\n".join(exchange.question for exchange in exchanges)
    notes: dict[str, str | int | float | bool | None] = {"package": package.requirement, "file": picture.member}
    if picture.frame is not None:
        notes["frame"] = picture.frame
    shows_box = any(exchange.type in ("tumour_ct", "tumour_mr", "caption") for exchange in exchanges)
    return Record(
        id=stable_id(SOURCE, picture.key, kind, questions),
        images=(ImageRef(path=f"images/{picture.key}"),),
        turns=tuple(turns),
        regions=tuple(Region(box=box, label="tumour") for box in picture.boxes) if shows_box else (),
        extended=tuple(exchange.extended for exchange in exchanges),
        subject=pseudonym(picture.subject, salt=SALT),
        study=pseudonym(f"{picture.subject}/{picture.member}", salt=SALT),
        tags=tags,
        provenance=Provenance(
            source=SOURCE,
            licence=picture.stated_licence,
            split=picture.split,
            generator=sample_text.GENERATOR,
            notes={**notes, **picture.notes},
        ),
    )


def _finish(record: Record, reference: ImageRef) -> Record:
    """Put the written file, and boxes in its pixels, into a record."""
    assert reference.width is not None
    assert reference.height is not None
    regions = tuple(
        region.model_copy(update={"box": resize(region.box, reference.width, reference.height)})
        for region in record.regions
    )
    return record.model_copy(update={"images": (reference,), "regions": regions})


def _write_pictures(folder: Path, pictures: Iterable[Picture]) -> dict[str, ImageRef]:
    """PNG for grey pictures, JPEG quality 92 for coloured ones, long side at most `LONG_SIDE`."""
    from PIL import Image

    (folder / "images").mkdir(parents=True, exist_ok=True)
    references = {}
    for picture in pictures:
        image = Image.fromarray(picture.pixels)
        target = fitted_size(image.size, LONG_SIDE)
        if target != image.size:
            image = image.resize(target, Image.Resampling.LANCZOS)
        name = f"images/{picture.key}{'.png' if image.mode == 'L' else '.jpg'}"
        if image.mode == "L":
            image.save(folder / name)
        else:
            image.save(folder / name, quality=92)
        references[picture.key] = ImageRef(
            path=name, width=image.width, height=image.height, sha256=file_sha256(folder / name)
        )
    return references


def _write_manifest(
    folder: Path, size: Size, seed: int, pictures: list[Picture], references: dict[str, ImageRef]
) -> None:
    """Where each picture comes from, under which licence, and in which split it is."""
    items = [
        {
            "image": references[picture.key].path,
            "sha256": references[picture.key].sha256,
            "package": PACKAGES[picture.package].name,
            "version": PACKAGES[picture.package].version,
            "package_sha256": PACKAGES[picture.package].sha256,
            "file": picture.member,
            "frame": picture.frame,
            "licence": picture.stated_licence,
            "redistribute": PACKAGES[picture.package].redistribute,
            "subject": pseudonym(picture.subject, salt=SALT),
            "split": picture.split,
            "modality": picture.facts["modality"],
        }
        for picture in pictures
    ]
    content = {"name": "medmix", "size": size, "seed": seed, "generator": sample_text.GENERATOR, "items": items}
    (folder / "manifest.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
