"""What kind of file is this? Decided by content, never by name, before any decoder sees a byte."""

from __future__ import annotations

import zlib
from os import PathLike
from pathlib import Path
from typing import Literal

from osler.errors import ImageError

# 100 megapixels: the largest single frames of clinical radiography (a 50 micrometre mammogram) have about 30; whole
# microscope slides have thousands and want a tile reader, not this one.
DEFAULT_MAX_PIXELS = 100_000_000
# A decompressed volume. 2 GiB holds 512 x 512 x 4000 16-bit voxels, or an hour of functional MR.
DEFAULT_MAX_VOLUME_BYTES = 2 * 1024**3

Kind = Literal["png", "jpeg", "tiff", "webp", "bmp", "gif", "dicom", "dicom-bare", "nifti", "nrrd"]
_HEAD_BYTES = 540  # a NIfTI-2 header, the longest that is looked at

_READS = "PNG, JPEG, TIFF, WebP, BMP, GIF, DICOM, NIfTI and NRRD are read"
_KNOWN_OTHERS = (
    (b"%PDF", "a PDF document: extract its pictures first"),
    (b"PK\x03\x04", "a ZIP archive: unpack it first"),
    (b"\x1f\x8b", "a gzip file that holds no NIfTI volume: unpack it first"),
    (b"BZh", "a bzip2 file: unpack it first"),
    (b"\x89HDF", "an HDF5 file, which is not read"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file: convert it to PNG"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 codestream: convert it to PNG"),
    (b"P5", "a PGM file: convert it to PNG"),
    (b"P6", "a PPM file: convert it to PNG"),
    (b"\x93NUMPY", "a NumPy array: convert it to PNG or NIfTI"),
    (b"8BPS", "a Photoshop file: convert it to PNG"),
)


def checked_path(path: str | PathLike[str]) -> Path:
    """The path, if it is a readable file with something in it.

    Raises:
        ImageError: when it is absent, a folder, a device, empty or not permitted.
    """
    found = Path(path)
    try:
        if not found.exists():
            raise ImageError(path_text(path), "there is no such file")
        if found.is_dir():
            raise ImageError(path_text(path), "is a folder, not a picture; name a file in it")
        if not found.is_file():
            raise ImageError(path_text(path), "is no regular file")
        if found.stat().st_size == 0:
            raise ImageError(path_text(path), "is empty (0 bytes); copy or download it again")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ImageError(path_text(path), f"cannot be opened ({type(error).__name__})") from None
    return found


def path_text(path: str | PathLike[str]) -> str:
    """The path as text for a message."""
    return str(path)


def read_head(path: Path, count: int = _HEAD_BYTES) -> bytes:
    """The first bytes of a file.

    Raises:
        ImageError: when it may not be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise ImageError(path, f"cannot be read ({type(error).__name__})") from None


def kind_of(path: Path) -> Kind:
    """The kind of a file by its first bytes.

    Args:
        path: from `checked_path`.

    Returns:
        The kind; "dicom-bare" is a DICOM data set without preamble.

    Raises:
        ImageError: when it is nothing that is read; the message says what it seems to be.
    """
    head = read_head(path)
    # DICOM first: a dual-personality file has a TIFF header in its preamble (PS3.10 7.1)
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:2] == b"BM" and len(head) >= 26:
        return "bmp"
    if head.startswith(b"NRRD000"):
        return "nrrd"
    if _is_nifti(head) or (head[:2] == b"\x1f\x8b" and _is_nifti(_gunzip_head(head, path))):
        return "nifti"
    if _is_bare_dicom(head):
        return "dicom-bare"
    raise ImageError(path, f"is no picture that can be read: it is {_describe(head)} ({_READS})")


def _is_nifti(head: bytes) -> bool:
    # NIfTI-1: sizeof_hdr 348, magic at byte 344; NIfTI-2: sizeof_hdr 540, magic at byte 4. Either byte order.
    if head[:4] in (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c"):
        return head[344:348] in (b"n+1\x00", b"ni1\x00")
    return head[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c") and head[4:8] in (b"n+2\x00", b"ni2\x00")


def _gunzip_head(head: bytes, path: Path) -> bytes:
    """The first decompressed bytes, whatever the file claims to unpack to."""
    try:
        return zlib.decompressobj(wbits=31).decompress(read_head(path, 4096), _HEAD_BYTES)
    except zlib.error:
        return b""


def _is_bare_dicom(head: bytes) -> bool:
    """A data set begins with a low group and a small element; explicit ones have two capitals next (PS3.5 7.1)."""
    if len(head) < 12:
        return False
    for order in ("little", "big"):
        group = int.from_bytes(head[0:2], order)  # type: ignore[arg-type]
        element = int.from_bytes(head[2:4], order)  # type: ignore[arg-type]
        if group not in (0x0002, 0x0008) or element > 0x0100:
            continue
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        implicit = order == "little" and int.from_bytes(head[4:8], "little") <= 256
        if explicit or implicit:
            return True
    return False


def _describe(head: bytes) -> str:
    """What an unreadable file seems to be; never quotes its content."""
    for magic, name in _KNOWN_OTHERS:
        if head.startswith(magic):
            return name
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page (a download that failed, perhaps)"
    if start.startswith((b"<svg", b"<?xml")):
        return "XML or SVG text"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: fetch the file itself"
    if not head.strip(b"\x00"):
        return "nothing but zero bytes"
    printable = sum(32 <= byte < 127 or byte in b"\r\n\t" for byte in head)
    return "text" if printable >= 0.95 * len(head) else "of an unknown kind, or damaged at its beginning"
