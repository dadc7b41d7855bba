"""DICOM look-up tables: modality and VOI tables (PS3.3 C.11.1, C.11.2) and colour palettes (C.7.6.3.1.5, C.7.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from osler.images.dicom_header import DicomHeader, integer

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_BIG_ENDIAN = "1.2.840.10008.1.2.2"


class Table(NamedTuple):
    """A look-up table.

    Args:
        first: input value that maps to the first entry; below it the first entry counts, above the end the last.
        entries: shape (n,).
        bits: of an entry, as the descriptor says.
    """

    first: int
    entries: NDArray[Any]
    bits: int


def read_table(item: Dataset, syntax: str, *, signed: bool) -> Table:
    """An item of a Modality or VOI LUT Sequence.

    Args:
        item: with LUTDescriptor and LUTData.
        syntax: transfer syntax, for the byte order of tables stored as bytes.
        signed: whether its input values can be negative, which decides how the first mapped value is read.

    Raises:
        ValueError: when descriptor and data do not fit.
    """
    descriptor = [int(value) for value in item.LUTDescriptor]
    return _table(descriptor, item.LUTData, syntax, signed=signed)


def _table(descriptor: list[int], data: Any, syntax: str, *, signed: bool) -> Table:
    count, first, bits = descriptor
    count = (count & 0xFFFF) or 65536  # 0 means 65536, which 16 bits cannot hold
    if signed and first >= 32768:
        first -= 65536
    if isinstance(data, (bytes, bytearray)):
        if len(data) >= 2 * count:
            wide = np.dtype(">u2" if syntax == _BIG_ENDIAN else "<u2")
            entries: NDArray[Any] = np.frombuffer(data, wide, count)
        else:  # 8-bit entries two to a word; an odd number is padded
            entries = np.frombuffer(data, np.uint8)[:count]
    else:
        entries = np.atleast_1d(np.asarray(data, dtype=np.int64))[:count]
    if len(entries) != count or not 1 <= bits <= 16:
        raise ValueError("look-up table and descriptor do not fit")
    return Table(first, entries.astype(np.int64), bits)


def apply_table(values: NDArray[Any], table: Table) -> NDArray[np.int64]:
    """Look values up; fractions are rounded to the nearest entry first."""
    rounded = np.rint(values) if values.dtype.kind == "f" else values
    index = np.clip(rounded.astype(np.int64) - table.first, 0, len(table.entries) - 1)
    return table.entries[index]


def palette_to_rgb(header: DicomHeader, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Palette indices, shape (rows, columns), to RGB, shape (rows, columns, 3), 8 bits.

    16-bit entries keep their high byte, unless all are below 256 (8-bit entries in 16-bit words, as old files have).

    Raises:
        ValueError: when there is no palette or it does not fit its descriptor.
    """
    ds = header.dataset
    if "RedPaletteColorLookupTableData" not in ds:
        from pydicom.pixels import apply_color_lut

        rgb = apply_color_lut(values, ds)[..., :3]  # segmented palettes
    else:
        planes = []
        for colour in ("Red", "Green", "Blue"):
            descriptor = [int(value) for value in ds[f"{colour}PaletteColorLookupTableDescriptor"].value]
            data = ds[f"{colour}PaletteColorLookupTableData"].value
            signed = integer(ds, "PixelRepresentation") == 1
            planes.append(apply_table(values, _table(descriptor, data, header.transfer_syntax, signed=signed)))
        rgb = np.stack(planes, axis=-1)
    if rgb.size and rgb.max() > 255:
        rgb = rgb >> 8
    return np.ascontiguousarray(rgb.astype(np.uint8))
