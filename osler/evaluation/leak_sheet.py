"""Tables and a picture of what `find_leaks` found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from osler.errors import OslerError
from osler.evaluation.leaks import KINDS, ImageMatch, Leaks

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE, _GAP, _TEXT, _PAIRS_A_ROW = 180, 8, 44, 3
LABELS = {
    "train_records": "training records",
    "test_records": "test records",
    "train_images": "training images",
    "test_images": "test images",
    "same_file": "test images: same file in training",
    "same_pixels": "test images: same pixels, other file",
    "near_duplicate": "test images: near duplicates",
    "test_images_leaked": "test images leaked, all kinds",
    "test_items_on_leaked_images": "test items on leaked images",
    "same_question_same_image": "test items: same question, matching image",
    "of_these_same_answer": "of these with the same answer",
    "questions_in_training": "test items: question asked in training of any image",
    "shared_subjects": "subjects on both sides",
    "shared_studies": "studies on both sides",
}


def summary_rows(leaks: Leaks) -> list[tuple[str, int, str]]:
    """(what, count, share of its whole) for a table."""
    counts = leaks.counts
    whole = {
        **dict.fromkeys(("same_file", "same_pixels", "near_duplicate", "test_images_leaked"), counts["test_images"]),
        **dict.fromkeys(
            ("test_items_on_leaked_images", "same_question_same_image", "questions_in_training"),
            counts["test_records"],
        ),
        "of_these_same_answer": counts["same_question_same_image"],
    }
    return [
        (label, counts[name], f"{counts[name] / whole[name]:.1%}" if whole.get(name) else "")
        for name, label in LABELS.items()
    ]


def chosen_pairs(leaks: Leaks, *, limit: int) -> list[ImageMatch]:
    """Pairs to look at: what a person must judge first, so near duplicates from the farthest, then the others."""
    near = sorted((match for match in leaks.images if match.kind == KINDS[-1]), key=lambda match: -match.distance)
    sure = [match for match in leaks.images if match.kind != KINDS[-1]]
    room = max(limit - len(near), limit // 3)
    step = max(1.0, len(sure) / room) if room else 1.0
    spread = [sure[int(number * step)] for number in range(min(room, len(sure)))]
    return [*near[: limit - len(spread)], *spread]


def draw_pairs(leaks: Leaks, path: str | Path, *, limit: int = 24) -> Path | None:
    """A PNG with pairs side by side: left the training image, right the test image, both as they are.

    Args:
        leaks: found.
        path: of the PNG.
        limit: at most so many pairs.

    Returns:
        The path; None when there is nothing to draw.

    Raises:
        OslerError: when it cannot be written.
    """
    from PIL import Image as Images
    from PIL import ImageDraw

    pairs = chosen_pairs(leaks, limit=limit)
    if not pairs:
        return None
    cell = (2 * _SIDE + 3 * _GAP, _SIDE + _TEXT + _GAP)
    columns = min(_PAIRS_A_ROW, len(pairs))
    rows = -(-len(pairs) // columns)
    sheet = Images.new("RGB", (columns * cell[0], rows * cell[1] + _TEXT // 2), "white")
    draw = ImageDraw.Draw(sheet)
    title = f"left: training ({leaks.train}); right: test ({leaks.test}); {len(pairs)} of {len(leaks.images)} pairs"
    draw.text((_GAP, 4), _plain(title), fill="#5b6675")
    for number, match in enumerate(pairs):
        left = number % columns * cell[0] + _GAP
        top = number // columns * cell[1] + _TEXT // 2
        for place, side in enumerate(("train", "test")):
            name = match.train if side == "train" else match.test
            picture = _thumbnail(leaks, f"{side} {name}")
            sheet.paste(picture, (left + place * (_SIDE + _GAP), top))
            draw.text((left + place * (_SIDE + _GAP), top + _SIDE + 2), _short(name), fill="#1c2430")
        turned = "" if match.reflection == "none" else f", test {match.reflection}"
        told = match.kind if match.kind != KINDS[-1] else f"{match.kind}, {match.distance} of 256 bits{turned}"
        draw.text((left, top + _SIDE + 16), _plain(told), fill="#b03a00")
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, "PNG")
    except OSError as error:
        raise OslerError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def _thumbnail(leaks: Leaks, key: str) -> Image:
    from PIL import Image as Images

    from osler.images import load_image

    path, frame = leaks.paths[key]
    picture = load_image(path, frame=frame, max_side=_SIDE).image.convert("RGB")
    square = Images.new("RGB", (_SIDE, _SIDE), "black")
    square.paste(picture, ((_SIDE - picture.width) // 2, (_SIDE - picture.height) // 2))
    return square


def _short(name: str, limit: int = 29) -> str:
    name = _plain(name)
    return name if len(name) <= limit else "..." + name[-(limit - 3) :]


def _plain(text: str) -> str:
    """Pillow's built-in font knows Latin-1 only."""
    return text.encode("latin-1", "replace").decode("latin-1")


def question_rows(leaks: Leaks, *, limit: int = 20) -> list[Sequence[str]]:
    """Rows of a table of questions that stand on both sides."""
    return [
        (match.test, match.train, match.question, match.test_answer, match.train_answer, match.image)
        for match in leaks.questions[:limit]
    ]
