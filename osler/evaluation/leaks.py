"""`find_leaks`: what of a test set stands in a training set too.

Images are compared in three steps, the strongest that holds counts: the same file (SHA-256), the same pixels after
decoding (a file saved anew), and near duplicates by a 256-bit perceptual hash in four reflections (a picture is as far
from its own mirror image as from a stranger). Questions are compared by their normalised text; subjects and studies by
their keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from osler.errors import ImageError, RecordError
from osler.evaluation.protocols.vqa_text import normalise
from osler.images.fingerprints import MAX_DISTANCE, file_sha256, perceptual_hash
from osler.record_images import resolve_image
from osler.records import IMAGE_PLACEHOLDER, ImageRef, Record

if TYPE_CHECKING:
    from PIL.Image import Image

Kind = Literal["same file", "same pixels", "near duplicate"]
KINDS: tuple[Kind, ...] = ("same file", "same pixels", "near duplicate")
REFLECTIONS: dict[str, int | None] = {"none": None, "mirrored": 0, "upside down": 1, "turned by 180°": 3}
"""Name -> Pillow's `Transpose`."""
_BLOCK = 64
Key = tuple[str, int | None]


class Side(NamedTuple):
    """One of the two sets: records, the folder of their images, and a name for reports."""

    name: str
    records: Sequence[Record]
    images: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMatch:
    """A test image and its nearest training image.

    Args:
        test: path of the test image, with "#frame" where a frame is meant.
        train: path of the training image.
        kind: strongest way in which they agree.
        distance: Hamming distance of the perceptual hashes in bits; 0 for the same file.
        reflection: how the test image has to be turned.
        others: further training images that match.
        test_records: items that show the test image.
    """

    test: str
    train: str
    kind: Kind
    distance: int
    reflection: str
    others: int
    test_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionMatch:
    """A test question that training asks about the same image, or one that matches it.

    Args:
        test: id of the test record.
        train: id of the training record.
        question: as the test asks it.
        test_answer: reference of the test record.
        train_answer: reference of the training record.
        image: how the images agree.
    """

    test: str
    train: str
    question: str
    test_answer: str
    train_answer: str
    image: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What `find_leaks` found.

    Args:
        train: name of the training set.
        test: name of the test set.
        counts: all numbers of the table, see `find_leaks`.
        images: one for each leaked test image, the strongest kind first.
        questions: test questions that training asks about a matching image.
        shared_subjects: keys of subjects on both sides.
        shared_studies: keys of studies on both sides.
        unreadable: images that could not be read, and so were not compared.
        max_distance: of near duplicates, in bits.
    """

    train: str
    test: str
    counts: dict[str, int]
    images: tuple[ImageMatch, ...]
    questions: tuple[QuestionMatch, ...]
    shared_subjects: tuple[str, ...]
    shared_studies: tuple[str, ...]
    unreadable: tuple[str, ...]
    max_distance: int
    paths: dict[str, tuple[Path, int | None]] = field(repr=False, default_factory=dict)
    """"train" or "test" and the name in `images` -> file and frame, for pictures."""

    @property
    def found(self) -> bool:
        """Whether an image, a question on a matching image, a subject or a study stands on both sides."""
        return bool(self.images or self.questions or self.shared_subjects or self.shared_studies)

    def to_json(self) -> dict[str, Any]:
        """For a file; layout in docs/reading_results.md."""
        found = asdict(self)
        found.pop("paths")
        return {"schema_version": 1, "leaks": self.found, **found}


class _Picture(NamedTuple):
    path: Path
    frame: int | None
    window: Mapping[str, float | str] | None
    file: str
    hashes: tuple[str, ...]
    """Of the four reflections, the picture as it is first."""

    def load(self) -> Image:
        """The picture in RGB, as a model sees it."""
        from osler.images import load_image

        return load_image(self.path, frame=self.frame, window=self.window).image.convert("RGB")

    def pixels(self) -> str:
        """Hash of what is seen."""
        picture = self.load()
        return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()


def find_leaks(
    train: Side,
    test: Side,
    *,
    max_distance: int = MAX_DISTANCE,
    say: Callable[[str], None] = lambda text: None,
) -> Leaks:
    """Compare all images, questions, subjects and studies of two sets.

    Method: 4 hashes of each test image against 1 of each training image, by XOR and bit counts of blocks of NumPy rows;
    time grows with the product of the two numbers of images (10,000 by 10,000 take about ten seconds),
    memory only with their sum.

    Args:
        train: training set.
        test: test set.
        max_distance: largest Hamming distance of near duplicates; of 256 bits.
        say: told the steps.

    Returns:
        With `counts`: `train_records`, `test_records`, `train_images`, `test_images`, `same_file`, `same_pixels`,
        `near_duplicate` (test images by their strongest match), `test_images_leaked`, `test_items_on_leaked_images`,
        `same_question_same_image` (test items), `of_these_same_answer`, `questions_in_training` (test items whose
        question training asks about any image; templates do that without a leak), `shared_subjects`, `shared_studies`.

    Raises:
        RecordError: when a set holds no records, or a path leaves its image folder.
        ImageError: when no image of a set can be read.
    """
    for side in (train, test):
        if not side.records:
            raise RecordError(f"{side.name}: holds no records; nothing can be compared")
    if max_distance < 0:
        raise RecordError(f"max_distance is {max_distance}: want 0 or more bits")
    unreadable: list[str] = []
    say(f"reading the images of {train.name}")
    known: dict[tuple[str, int | None, str], tuple[str, ...]] = {}
    learned = _pictures(train, unreadable, known)
    say(f"reading the images of {test.name}")
    asked = _pictures(test, unreadable, known)
    say(f"comparing {len(asked)} test images with {len(learned)} training images")
    matches = _match(learned, asked, max_distance)
    showing = _showing(test.records)
    images = []
    for key, found in matches.items():
        best = min(found, key=lambda match: (KINDS.index(match[1]), match[2], _name(match[0])))
        images.append(
            ImageMatch(
                test=_name(key), train=_name(best[0]), kind=best[1], distance=best[2], reflection=best[3],
                others=len(found) - 1, test_records=len(showing[key]),
            )
        )  # fmt: skip
    images.sort(key=lambda match: (KINDS.index(match.kind), match.distance, match.test))
    questions = _questions(train.records, test.records, matches)
    subjects = _shared(train.records, test.records, "subject")
    studies = _shared(train.records, test.records, "study")
    asked_in_training = {exchange.key for record in train.records for exchange in _asked(record)}
    leaked = {item for key in matches for item in showing[key]}
    counts = {
        "train_records": len(train.records),
        "test_records": len(test.records),
        "train_images": len(learned),
        "test_images": len(asked),
        **{kind.replace(" ", "_"): sum(match.kind == kind for match in images) for kind in KINDS},
        "test_images_leaked": len(images),
        "test_items_on_leaked_images": len(leaked),
        "same_question_same_image": len({match.test for match in questions}),
        "of_these_same_answer": len(
            {m.test for m in questions if normalise(m.test_answer) == normalise(m.train_answer)}
        ),
        "questions_in_training": sum(
            any(exchange.key in asked_in_training for exchange in _asked(record)) for record in test.records
        ),
        "shared_subjects": len(subjects),
        "shared_studies": len(studies),
    }
    return Leaks(
        train=train.name,
        test=test.name,
        counts=counts,
        images=tuple(images),
        questions=tuple(questions),
        shared_subjects=subjects,
        shared_studies=studies,
        unreadable=tuple(unreadable),
        max_distance=max_distance,
        paths={f"train {_name(key)}": (p.path, p.frame) for key, p in learned.items()}
        | {f"test {_name(key)}": (p.path, p.frame) for key, p in asked.items()},
    )


def _key(image: ImageRef) -> Key:
    return image.path, image.frame


def _name(key: Key) -> str:
    return key[0] if key[1] is None else f"{key[0]}#{key[1]}"


def _pictures(
    side: Side, unreadable: list[str], known: dict[tuple[str, int | None, str], tuple[str, ...]]
) -> dict[Key, _Picture]:
    """Fingerprints of every image that the records show; a file that both sides hold is decoded once."""
    found: dict[Key, _Picture] = {}
    hashes: dict[Path, str] = {}
    bad: set[Key] = set()
    for record in side.records:
        for image in record.images:
            key = _key(image)
            if key in found or key in bad:
                continue
            path = resolve_image(side.images, image)
            try:
                if path not in hashes:
                    hashes[path] = file_sha256(path)
                picture = _Picture(path, image.frame, image.window, hashes[path], ())
                content = picture.file, image.frame, str(image.window)
                if content not in known:
                    known[content] = _reflected(picture.load())
            except ImageError as error:
                bad.add(key)
                unreadable.append(f"{side.name}: {error}")
                continue
            found[key] = picture._replace(hashes=known[content])
    if bad and not found:
        raise ImageError(f"{side.name}: none of its {len(bad)} images can be read; the first: {unreadable[-len(bad)]}")
    return found


def _reflected(picture: Image) -> tuple[str, ...]:
    """Perceptual hashes in the four reflections."""
    from PIL.Image import Transpose

    small = picture if max(picture.size) <= 512 else picture.reduce(max(picture.size) // 256)
    return tuple(
        perceptual_hash(small if turn is None else small.transpose(Transpose(turn))) for turn in REFLECTIONS.values()
    )


_Found = list[tuple[Key, Kind, int, str]]


def _match(learned: Mapping[Key, _Picture], asked: Mapping[Key, _Picture], max_distance: int) -> dict[Key, _Found]:
    """Test image -> training images that match, with kind, distance and reflection."""
    if not learned or not asked:
        return {}
    train_keys = list(learned)
    # only near pictures can have the same pixels, so few are decoded again
    pixels = lru_cache(maxsize=64)(lambda side, key: {"test": asked, "train": learned}[side][key].pixels())
    table = _bits([learned[key].hashes[0] for key in train_keys])
    found: dict[Key, _Found] = {}
    keys = list(asked)
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK]
        nearest = np.full((len(block), len(table)), np.iinfo(np.int16).max, dtype=np.int16)
        turned = np.zeros(nearest.shape, dtype=np.int8)
        for turn in range(len(REFLECTIONS)):
            distance = _distances(_bits([asked[key].hashes[turn] for key in block]), table)
            turned[distance < nearest] = turn
            np.minimum(nearest, distance, out=nearest)
        for row, column in zip(*np.nonzero(nearest <= max_distance), strict=True):
            test, train = asked[block[row]], learned[train_keys[column]]
            name = list(REFLECTIONS)[turned[row, column]]
            same_file = (test.file, test.frame) == (train.file, train.frame)
            if same_file:
                kind: Kind = "same file"
            else:
                same = nearest[row, column] == 0 and pixels("test", block[row]) == pixels("train", train_keys[column])
                kind = "same pixels" if same else "near duplicate"
            match = (train_keys[column], kind, int(nearest[row, column]), name)
            found.setdefault(block[row], []).append(match)
    return found


def _bits(hashes: Iterable[str]) -> npt.NDArray[np.uint64]:
    rows = [bytes.fromhex(text) for text in hashes]
    return np.frombuffer(b"".join(rows), dtype=np.uint64).reshape(len(rows), -1)


def _distances(rows: npt.NDArray[np.uint64], columns: npt.NDArray[np.uint64]) -> npt.NDArray[np.int16]:
    """Hamming distances of every row to every column, one 64-bit word after the other."""
    total = np.zeros((len(rows), len(columns)), dtype=np.int16)
    for word in range(rows.shape[1]):
        differing = rows[:, None, word] ^ columns[None, :, word]
        if hasattr(np, "bitwise_count"):  # NumPy 2
            total += np.bitwise_count(differing)
        else:
            total += np.unpackbits(differing.view(np.uint8).reshape(*differing.shape, 8), axis=-1).sum(
                axis=-1, dtype=np.int16
            )
    return total


def _showing(records: Sequence[Record]) -> dict[Key, set[str]]:
    found: dict[Key, set[str]] = {}
    for record in records:
        for image in record.images:
            found.setdefault(_key(image), set()).add(record.id)
    return found


class _Exchange(NamedTuple):
    question: str
    answer: str

    @property
    def key(self) -> str:
        return normalise(self.question)


def _asked(record: Record) -> list[_Exchange]:
    """Question and answer of every exchange."""
    found: list[_Exchange] = []
    question: str | None = None
    for turn in record.turns:
        if turn.role == "user":
            question = " ".join(turn.text.replace(IMAGE_PLACEHOLDER, " ").split())
        elif turn.role == "assistant" and question is not None:
            found.append(_Exchange(question, turn.text))
            question = None
    return found


def _questions(train: Sequence[Record], test: Sequence[Record], matches: Mapping[Key, _Found]) -> list[QuestionMatch]:
    """Test questions that are asked in training about an image that matches."""
    about: dict[tuple[Key, str], list[tuple[str, str]]] = {}
    for record in train:
        for exchange in _asked(record):
            for image in record.images:
                about.setdefault((_key(image), exchange.key), []).append((record.id, exchange.answer))
    found: list[QuestionMatch] = []
    for record in test:
        for exchange in _asked(record):
            best: dict[str, QuestionMatch] = {}
            for image in record.images:
                for key, kind, _, _ in matches.get(_key(image), ()):
                    for other, told in about.get((key, exchange.key), ()):
                        match = QuestionMatch(
                            test=record.id, train=other, question=exchange.question,
                            test_answer=exchange.answer, train_answer=told, image=kind,
                        )  # fmt: skip
                        if other not in best or KINDS.index(kind) < KINDS.index(best[other].image):
                            best[other] = match
            found += best.values()
    return found


def _shared(train: Sequence[Record], test: Sequence[Record], name: str) -> tuple[str, ...]:
    both = {getattr(record, name) for record in train} & {getattr(record, name) for record in test}
    return tuple(sorted(key for key in both if key is not None))
