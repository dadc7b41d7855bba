"""`image-csv`: a folder of images and a table that says what is asked and answered about them.

Columns (a header line is required; order does not matter):

    image       file, relative to the image folder; PNG, JPEG, TIFF, DICOM, NIfTI, NRRD
    question    with `answer`; or leave both empty and give a `caption`
    answer
    caption     becomes the answer to "Describe this image."
    extended    longer paraphrase of the answer (LoGra-Med)
    label       of the box
    x1,y1,x2,y2 box in pixels of the image: left, top, right, bottom (exclusive)
    subject     patient key: written as a pseudonym only
    split       train, dev or test
    frame       0-based frame or slice
    window      preset ("lung") or LEVEL/WIDTH ("-600/1500")
    tag:NAME    any number of tags, for instance tag:question_type

A row that repeats image, frame, question, answer and caption of an earlier one adds its box to that record.
"""

from __future__ import annotations

import csv
import json
import math
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from osler.boxes import Box
from osler.errors import BoxError, ImageError, RecordError, SourceError
from osler.record_files import resolve_image, write_records
from osler.record_ids import pseudonym, stable_id
from osler.records import ImageRef, Provenance, Record, Region, Turn
from osler.sources.base import Fetched, Say, check_options

BOX = ("x1", "y1", "x2", "y2")
COLUMNS = ("image", "question", "answer", "caption", "extended", "label", *BOX, "subject", "split", "frame", "window")
SPLITS = ("train", "dev", "test")
CAPTION_QUESTION = "Describe this image."
DEFAULT_LABEL = "finding"


class RejectedRow(NamedTuple):
    """A row that makes no record.

    Args:
        line: 1-based line of the file.
        field: column.
        reason: with the offending value.
    """

    line: int
    field: str | None
    reason: str


@dataclass(slots=True)
class Table:
    """Records of a table and the rows that were set aside."""

    records: list[Record] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)


def read_csv(
    path: str | Path,
    images: str | Path,
    *,
    source: str | None = None,
    licence: str = "unstated",
    salt: str | bytes | None = None,
) -> Table:
    """Records of a table.

    Args:
        path: CSV (comma, semicolon or tab), UTF-8.
        images: folder that the column `image` is relative to.
        source: name of the data set; by default the file's.
        licence: of the data.
        salt: secret for pseudonyms, at least 16 bytes; by default a fresh one, so that the keys of two readings
            cannot be linked.

    Returns:
        Records in the order of their first rows, and rejected rows.

    Raises:
        RecordError: the table cannot be read at all: no file, no header, no or unknown columns.
    """
    path, images = Path(path), Path(images)
    key = salt or secrets.token_bytes(32)
    table = Table()
    merged: dict[tuple[str, ...], int] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    for line, row in _rows(path):
        try:
            record = _record(row, images, sizes, source=source or path.stem, licence=licence, salt=key)
        except RecordError as error:
            table.rejected.append(RejectedRow(line, error.field, error.reason))
            continue
        same = tuple(row.get(name, "") for name in ("image", "frame", "question", "answer", "caption"))
        if same not in merged:
            merged[same] = len(table.records)
            table.records.append(record)
        elif record.regions:
            first = table.records[merged[same]]
            table.records[merged[same]] = first.model_copy(update={"regions": first.regions + record.regions})
        else:
            table.rejected.append(RejectedRow(line, None, "repeats an earlier row and adds no box"))
    return table


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RecordError("no such file", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"cannot be read as UTF-8 text ({error}); save it as CSV UTF-8", path=path) from error
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    lines = text.splitlines(keepends=True)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise RecordError(f"not a table: {error}", path=path, line=reader.line_num) from error
        if header is None:
            header = _header(path, cells)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(header, (" ".join(cell.split()) for cell in cells), strict=False))
        row["\0cells"] = str(len(cells) - len(header))
        yield line, row
    if header is None:
        raise RecordError(f"is empty; want a header line with columns among {', '.join(COLUMNS)}", path=path)


def _header(path: Path, cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    header = [name if name.startswith("tag:") else name.lower() for name in header]
    for name, count in Counter(header).items():
        if count > 1:
            raise RecordError(f"column {name!r} stands there {count} times", path=path, line=1)
        if name not in COLUMNS and not (name.startswith("tag:") and len(name) > 4):
            raise RecordError(
                f"unknown column {name!r}; want {', '.join(COLUMNS)}, or tag:NAME for a tag", path=path, line=1
            )
    if "image" not in header or not ({"question", "answer"} <= set(header) or "caption" in header):
        raise RecordError("want the columns image, and question with answer or caption", path=path, line=1)
    return header


def _record(
    row: dict[str, str],
    images: Path,
    sizes: dict[Path, tuple[int, int]],
    *,
    source: str,
    licence: str,
    salt: str | bytes,
) -> Record:
    surplus = int(row["\0cells"])
    if surplus:
        word = "more" if surplus > 0 else "fewer"
        raise RecordError(f"has {abs(surplus)} cells {word} than the header; quote texts that hold the separator")

    def cell(name: str) -> str:
        return row.get(name, "").strip()

    question, answer = cell("question"), cell("answer")
    kind = "question"
    if not question and not answer and cell("caption"):
        question, answer, kind = CAPTION_QUESTION, cell("caption"), "caption"
    if not cell("image"):
        raise RecordError("is empty", field="image")
    if not question:
        raise RecordError("is empty, and there is no caption instead", field="question")
    if not answer:
        raise RecordError(f"is empty for the question {question!r}", field="answer")
    if "<image>" in question + answer:
        raise RecordError("holds <image>; it is added for you", field="question")
    split = cell("split").lower() or None
    if split is not None and split not in SPLITS:
        raise RecordError(f"is {cell('split')!r}; want one of {', '.join(SPLITS)}", field="split")
    reference = _reference(cell("image"), cell("frame"), cell("window"), images, sizes)
    region = _region(row, reference)
    tags = {name[4:]: value for name, value in row.items() if name.startswith("tag:") and value}
    if kind == "caption":
        tags.setdefault("question_type", "caption")
    return Record(
        id=stable_id(source, reference.path, reference.frame, question, answer),
        images=(reference,),
        turns=(Turn(role="user", text=f"<image>\n{question}"), Turn(role="assistant", text=answer)),
        regions=() if region is None else (region,),
        extended=(cell("extended"),) if cell("extended") else (),
        subject=pseudonym(cell("subject"), salt=salt) if cell("subject") else None,
        tags=tags,
        provenance=Provenance(source=source, licence=licence, split=split, generator="human"),
    )


def _reference(name: str, frame: str, window: str, images: Path, sizes: dict[Path, tuple[int, int]]) -> ImageRef:
    from osler.images import image_size, load_image, parse_window

    path = resolve_image(images, name)  # refuses paths that climb out of the folder
    if path not in sizes:
        try:
            sizes[path] = image_size(path)
        except ImageError as error:
            raise RecordError(f"{name!r}: {error.reason}", field="image") from error
    width, height = sizes[path]
    number: int | None = None
    if frame:
        if not frame.isdecimal():
            raise RecordError(f"is {frame!r}; want a whole number from 0", field="frame")
        number = int(frame)
        try:  # decodes once, so that a frame that is not there is found now and not in the middle of a training run
            load_image(path, frame=number, max_side=1)
        except ImageError as error:
            raise RecordError(f"{number}: {error.reason}", field="frame") from error
    chosen: dict[str, float | str] | None = None
    if window:
        try:
            parsed = parse_window(window)
        except ValueError as error:
            raise RecordError(f"{window!r}: {error}", field="window") from error
        chosen = {"level": parsed.level, "width": parsed.width}
    return ImageRef(path=name, width=width, height=height, frame=number, window=chosen)


def _region(row: Mapping[str, str], reference: ImageRef) -> Region | None:
    cells = [row.get(name, "").strip() for name in BOX]
    if not any(cells):
        if row.get("label", "").strip():
            raise RecordError("is given without a box (x1, y1, x2, y2)", field="label")
        return None
    numbers = []
    for name, text in zip(BOX, cells, strict=True):
        try:
            number = float(text)
        except ValueError:
            raise RecordError(f"is {text!r}; want a number of pixels", field=name) from None
        if not math.isfinite(number):
            raise RecordError(f"is {text!r}; want a number of pixels", field=name)
        numbers.append(number)
    assert reference.width is not None
    assert reference.height is not None
    x1, y1, x2, y2 = numbers
    try:
        box = Box(x1, y1, x2, y2, reference.width, reference.height)
    except BoxError as error:
        raise RecordError(str(error), field="x1") from error
    return Region(box=box, label=row.get("label", "").strip() or DEFAULT_LABEL)


class ImageCsvSource:
    """A folder of images with a table."""

    name = "image-csv"
    title = "Image folder with a table (CSV)"
    licence = "of your data"
    url = ""
    description = (
        "Your own images with questions, answers, captions and boxes in a table; DICOM and NIfTI images stay as "
        "they are, with frame and window columns. Bad rows are set aside with line, column and reason."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "the CSV file",
        "images": "folder that image paths are relative to (default: the folder of the file)",
        "source": "name of the data set for the provenance",
        "licence": "of the data, for the provenance",
        "salt_file": "file with a secret of at least 16 bytes, so that subject keys stay the same between exports",
    }

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Write `records.jsonl`, or `train.jsonl` and so on where the table has splits, and the rejected rows."""
        check_options(self, options, required=("from",))
        origin = Path(options["from"])
        images = Path(options.get("images") or origin.parent)
        if not images.is_dir():
            raise SourceError(f"{images}: no such image folder; name it with images=FOLDER")
        salt = None
        if options.get("salt_file"):
            try:
                salt = Path(options["salt_file"]).read_bytes().strip()
            except OSError as error:
                raise SourceError(f"salt_file={options['salt_file']}: cannot be read ({error.strerror})") from error
        if say is not None:
            say(f"reading {origin}")
        table = read_csv(
            origin, images, source=options.get("source"), licence=options.get("licence") or "unstated", salt=salt
        )
        folder.mkdir(parents=True, exist_ok=True)
        rejects = folder / f"{origin.name}.rejects.jsonl"
        rejects.unlink(missing_ok=True)
        if table.rejected:
            rows = [json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in table.rejected]
            rejects.write_text("".join(rows), encoding="utf-8")
        if not table.records:
            first = table.rejected[0] if table.rejected else RejectedRow(1, None, "there are no rows")
            raise RecordError(
                f"no usable row; the first reason: {first.reason}", path=origin, line=first.line, field=first.field
            )
        parts: dict[str, list[Record]] = {}
        for record in table.records:
            parts.setdefault(record.provenance.split or "records", []).append(record)
        files = {f"{name}.jsonl": write_records(items, folder / f"{name}.jsonl") for name, items in parts.items()}
        remarks = [f"Image paths are relative to {images}: pass it as the image folder."]
        both = _shared_subjects(table.records)
        if both:
            remarks.append(f"{both} subjects stand in more than one split: scores on the test part would flatter.")
        rejected = {rejects.name: len(table.rejected)} if table.rejected else {}
        return Fetched(folder, files, rejects=rejected, images=images, remarks=tuple(remarks))

    def state(self) -> str:
        """Needs the user's file."""
        return "reads your own file: from=FILE"


def _shared_subjects(records: list[Record]) -> int:
    splits: dict[str, set[str | None]] = {}
    for record in records:
        if record.subject is not None:
            splits.setdefault(record.subject, set()).add(record.provenance.split)
    return sum(len(found) > 1 for found in splits.values())
