"""Do a record's image files exist, and are they what the record says?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, NamedTuple

from osler.errors import ImageError, OslerError, RecordError
from osler.records import ImageRef, Record

Kind = Literal["refused", "missing", "unreadable", "wrong_size", "box_outside", "wrong_hash"]
_EXIF_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)


class ImageProblem(NamedTuple):
    """One thing wrong with one image of one record.

    Args:
        record_id: of the record.
        image: 0-based index of the image in the record.
        path: as the record states it.
        kind: "refused" (path leaves the folder), "missing", "unreadable", "wrong_size" (file and record differ),
            "box_outside" (a region's box refers to another image size), "wrong_hash".
        detail: the facts.
    """

    record_id: str
    image: int
    path: str
    kind: Kind
    detail: str


@dataclass(frozen=True, slots=True)
class ImageReport:
    """Result of `check_images`.

    Args:
        records: how many records were looked at.
        files: how many different files they name.
        problems: all that is wrong, in the order of the records.
    """

    records: int
    files: int
    problems: tuple[ImageProblem, ...]

    def raise_for_problems(self) -> None:
        """Raise `RecordError` that lists the first ten problems, if there are any."""
        if not self.problems:
            return
        lines = [f"{p.record_id}: image {p.image} ({p.path}): {p.kind}: {p.detail}" for p in self.problems[:10]]
        more = f"\n... and {len(self.problems) - 10} more" if len(self.problems) > 10 else ""
        raise RecordError(f"{len(self.problems)} problems with images:\n" + "\n".join(lines) + more)


def resolve_image(folder: str | Path, ref: ImageRef | str, *, allow_absolute: bool = False) -> Path:
    """The file an image reference means. The file need not exist.

    A record file may come from anywhere, so it must not reach other files of this machine: a path that climbs out of
    the folder is refused, and so is an absolute one unless it lies in the folder or `allow_absolute` is given.
    Symbolic links inside the folder are the folder owner's and are followed.

    Args:
        folder: image folder of the record set.
        ref: an image of a record, or its path.
        allow_absolute: for record sets that were made on this machine and name files by absolute path.

    Raises:
        RecordError: when the path is refused.
    """
    text = ref if isinstance(ref, str) else ref.path
    if "://" in text:
        raise RecordError(f"image {text!r} is an address, not a file; fetch it first", field="path")
    if "\0" in text:
        raise RecordError(f"image path {text!r} holds a null character", field="path")
    base = Path(folder)
    # a record made on Windows names a/b.png as a\b.png, and C:\ is absolute there and harmless here: judge both ways
    if any(".." in flavour(text).parts for flavour in (PurePosixPath, PureWindowsPath)):
        inside = (base / text).resolve().is_relative_to(base.resolve()) and "\\" not in text
        if not inside:
            raise RecordError(f"image path {text!r} climbs out of the image folder {base}", field="path")
    if not (Path(text).is_absolute() or PureWindowsPath(text).drive):
        return base / text
    if not allow_absolute and not Path(text).resolve().is_relative_to(base.resolve()):
        raise RecordError(
            f"image path {text!r} is absolute and not in the image folder {base}; "
            "use paths relative to it, or allow absolute paths if you made this record file yourself",
            field="path",
        )
    return Path(text)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels of a raster image after its EXIF orientation, from the header alone.

    Raises:
        ImageError: when Pillow cannot read the header.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_EXIF_ORIENTATION) in _TURNED
            return (image.height, image.width) if turned else (image.width, image.height)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(path, f"header cannot be read: {error}") from error


def check_images(
    records: Iterable[Record],
    folder: str | Path,
    *,
    size_of: Callable[[Path], tuple[int, int]] = image_size,
    hashes: bool = False,
    allow_absolute: bool = False,
) -> ImageReport:
    """Look at every image that the records name; each file is opened once.

    Headers only: a file that is cut off after its header passes, unless `hashes` is given and the record has one.

    Args:
        records: to be checked.
        folder: image folder of the record set.
        size_of: gives (width, height) of a file or raises `OslerError`; by default Pillow's header. Pass a reader
            of DICOM or NIfTI for those.
        hashes: also compare `ImageRef.sha256` with the file's bytes.
        allow_absolute: see `resolve_image`.
    """
    sizes: dict[Path, tuple[int, int] | OslerError | None] = {}
    digests: dict[Path, str] = {}
    problems: list[ImageProblem] = []
    count = 0
    for record in records:
        count += 1
        for index, ref in enumerate(record.images):

            def note(kind: Kind, detail: str, index: int = index, ref: ImageRef = ref, id: str = record.id) -> None:
                problems.append(ImageProblem(id, index, ref.path, kind, detail))

            try:
                path = resolve_image(folder, ref, allow_absolute=allow_absolute)
            except RecordError as error:
                note("refused", error.reason)
                continue
            if path not in sizes:
                sizes[path] = _probe(path, size_of)
            size = sizes[path]
            if size is None:
                note("missing", f"no file {path}")
                continue
            if isinstance(size, OslerError):
                note("unreadable", str(size))
                continue
            stated = (ref.width or size[0], ref.height or size[1])
            if stated != size:
                note("wrong_size", f"record says {stated[0]} x {stated[1]}, file is {size[0]} x {size[1]}")
            for number, region in enumerate(record.regions):
                box = region.box
                if region.image == index and (box.width, box.height) != size:
                    reach = "reaches outside" if box.x2 > size[0] or box.y2 > size[1] else "refers to another size"
                    shown = f"{box.width} x {box.height}, file is {size[0]} x {size[1]}"
                    note("box_outside", f"regions.{number} ({region.label}) {reach}: made for {shown}")
            if hashes and ref.sha256 is not None:
                if path not in digests:
                    with open(path, "rb") as stream:
                        digests[path] = hashlib.file_digest(stream, "sha256").hexdigest()
                if digests[path] != ref.sha256:
                    note("wrong_hash", f"record says {ref.sha256[:12]}..., file has {digests[path][:12]}...")
    return ImageReport(count, len(sizes), tuple(problems))


def _probe(path: Path, size_of: Callable[[Path], tuple[int, int]]) -> tuple[int, int] | OslerError | None:
    if not path.is_file():
        return None
    try:
        return size_of(path)
    except OslerError as error:
        return error
