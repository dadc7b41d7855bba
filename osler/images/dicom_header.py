"""DICOM headers: read from an allow-list of elements, so identifiers never enter memory.

Names, dates, numbers and free text are skipped by the parser itself. Of the elements that are read, texts reach
`ImageInfo` or a message only if they stand in a closed list (defined terms of the standard); a patient's name typed
into BodyPartExamined is dropped like any other unknown term.
"""

from __future__ import annotations

import logging
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from osler.errors import ImageError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_KEYWORDS = (
    # what it is
    *("SOPClassUID", "Modality", "ImageType", "BodyPartExamined", "Laterality", "ImageLaterality", "ViewPosition"),
    *("BurnedInAnnotation", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelPresentation"),
    # image pixel module
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    # grey values
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("ModalityLUTSequence", "VOILUTSequence"),
    # colours
    *("RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor"),
    *("BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData"),
    *("GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData"),
    *("SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData"),
    *("SegmentedBluePaletteColorLookupTableData",),
    # values that change from frame to frame
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
_PIXEL_TAGS = {
    (0x7FE0, 0x0008): "FloatPixelData",
    (0x7FE0, 0x0009): "DoubleFloatPixelData",
    (0x7FE0, 0x0010): "PixelData",
}
_UNDEFINED_LENGTH = 0xFFFFFFFF
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DEFLATED_LIMIT = 1024**3  # bytes after inflating; a deflated data set holds its pixels too
_LOCK = threading.RLock()


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomHeader:
    """What was read of a DICOM file, and where its pixels are.

    Args:
        dataset: allow-listed elements only.
        file: positioned anywhere; `pixel_offset` is relative to its beginning. Inflated already if it was deflated.
        transfer_syntax: UID, guessed from the encoding for files without meta information.
        pixel_keyword: "PixelData", "FloatPixelData", "DoubleFloatPixelData", or None if there are no pixels.
        pixel_offset: of the first byte of the value.
        pixel_length: claimed length in bytes, or None if undefined (encapsulated).
        available: bytes from `pixel_offset` to the end of the file.
    """

    dataset: Dataset
    file: BinaryIO
    transfer_syntax: str
    pixel_keyword: str | None
    pixel_vr: str
    pixel_offset: int
    pixel_length: int | None
    available: int


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom silent: its warnings and log lines quote values, and a value can be a name.

    Warning filters and log levels belong to the process, so a lock admits one thread at a time and both are restored.
    """
    logger = logging.getLogger("pydicom")
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def open_header(path: Path, *, bare: bool) -> Iterator[DicomHeader]:
    """Open a DICOM file and read its header; the pixels stay in the file. Call inside `quiet`.

    Args:
        path: an existing file.
        bare: whether it lacks preamble and "DICM".

    Raises:
        ImageError: when a deflated file unpacks to more than a gibibyte or cannot be unpacked.
    """
    from pydicom import dcmread
    from pydicom.datadict import tag_for_keyword
    from pydicom.filereader import read_dataset
    from pydicom.tag import Tag

    tags: list[Any] = [Tag(tag_for_keyword(keyword) or 0) for keyword in _KEYWORDS]
    with path.open("rb") as raw:
        file: BinaryIO = raw
        syntax, offset = (None, 0) if bare else _meta(raw)
        if syntax == _DEFLATED:
            raw.seek(offset)
            file = BytesIO(_inflate(path, raw.read()))
            ds: Any = read_dataset(file, False, True, stop_when=_at_pixels, specific_tags=tags)
        else:
            raw.seek(0)
            ds = dcmread(raw, stop_before_pixels=True, force=True, specific_tags=list(tags))
            found = ds.file_meta.get("TransferSyntaxUID") if getattr(ds, "file_meta", None) is not None else None
            syntax = str(found) if found else _syntax_of(ds.original_encoding)
        if "SOPClassUID" not in ds and getattr(ds, "file_meta", None) is not None:
            ds.SOPClassUID = ds.file_meta.get("MediaStorageSOPClassUID", "")
        start = file.tell()
        file.seek(0, 2)
        end = file.tell()
        file.seek(start)
        little = True if syntax == _DEFLATED else ds.original_encoding[1] is not False
        keyword, vr, value, length = _pixel_element(file, little=little)
        yield DicomHeader(
            dataset=ds,
            file=file,
            transfer_syntax=syntax or "",
            pixel_keyword=keyword,
            pixel_vr=vr,
            pixel_offset=value,
            pixel_length=length,
            available=max(0, end - value),
        )


def _at_pixels(tag: Any, vr: str | None, length: int) -> bool:
    return (tag.group, tag.element) in _PIXEL_TAGS


def _syntax_of(encoding: tuple[bool | None, bool | None]) -> str:
    implicit, little = encoding
    if implicit:
        return "1.2.840.10008.1.2"
    return "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"


def _meta(file: BinaryIO) -> tuple[str | None, int]:
    """Transfer syntax and where the data set begins: group 2 is always explicit little endian (PS3.10 7.1)."""
    file.seek(132)
    syntax = None
    while True:
        start = file.tell()
        head = file.read(8)
        if len(head) < 8 or head[:2] != b"\x02\x00":
            return syntax, start
        if head[4:6] in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
            length = int.from_bytes(file.read(4), "little")
        else:
            length = int.from_bytes(head[6:8], "little")
        if head[2:4] == b"\x10\x00" and length <= 64:
            syntax = file.read(length).rstrip(b"\x00 ").decode("ascii", "replace")
        else:
            file.seek(length, 1)


def _inflate(path: Path, data: bytes) -> bytes:
    """Unpack a deflated data set, never beyond the limit."""
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = unpack.decompress(data, _DEFLATED_LIMIT)
    except zlib.error:
        raise ImageError(path, "is a damaged deflated DICOM file") from None
    if unpack.unconsumed_tail:
        raise ImageError(path, f"is a deflated DICOM file that unpacks to more than {_DEFLATED_LIMIT:,} bytes")
    return plain


def _pixel_element(file: BinaryIO, *, little: bool) -> tuple[str | None, str, int, int | None]:
    """(keyword, VR, offset of the value, length) of the pixel element the parser stopped at; keyword None if none."""
    order: Literal["little", "big"] = "little" if little else "big"
    head = file.read(8)
    if len(head) < 8:
        return None, "", file.tell(), None
    tag = int.from_bytes(head[0:2], order), int.from_bytes(head[2:4], order)
    vr = "OW"
    # a declared encoding can be wrong, but no even 32-bit length begins with the letters O or U
    if head[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN"):
        vr = head[4:6].decode("ascii")
        length = int.from_bytes(file.read(4), order)
    else:
        length = int.from_bytes(head[4:8], order)
    return _PIXEL_TAGS.get(tag), vr, file.tell(), None if length == _UNDEFINED_LENGTH else length


def functional_group(ds: Dataset, frame: int, keyword: str) -> Dataset | None:
    """A macro of a multi-frame object (PS3.3 C.7.6.16): that of the frame, else the shared one, else None."""
    per_frame = ds.get("PerFrameFunctionalGroupsSequence")
    shared = ds.get("SharedFunctionalGroupsSequence")
    groups = [per_frame[frame]] if per_frame and frame < len(per_frame) else []
    groups += [shared[0]] if shared else []
    for group in groups:
        items = group.get(keyword)
        if items:
            return items[0]
    return None


def integer(ds: Dataset, keyword: str) -> int | None:
    """An integer element, or None if it is absent, empty, multi-valued or no integer."""
    value = ds.get(keyword)
    if value is None or isinstance(value, (bytes, list)):
        return None
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def numbers(ds: Dataset, keyword: str) -> list[float]:
    """A numeric element of any multiplicity as floats; what is no finite number is left out."""
    value = ds.get(keyword)
    if value is None or isinstance(value, bytes):
        return []
    many = [value] if isinstance(value, (str, int, float)) or not hasattr(value, "__iter__") else list(value)
    found = []
    for entry in many:
        try:
            number = float(entry)
        except (TypeError, ValueError, OverflowError):
            continue
        if number - number == 0:  # neither infinite nor not-a-number
            found.append(number)
    return found


def text(ds: Dataset, keyword: str) -> str:
    """A text element, first value, upper case; empty if absent. For comparing with closed lists only."""
    value = ds.get(keyword)
    if value is not None and not isinstance(value, (str, bytes)) and hasattr(value, "__iter__"):
        value = next(iter(value), None)
    return str(value).strip().upper() if isinstance(value, str) else ""
