"""NRRD volumes with attached data (raw, gzip, bzip2 or text encoding); the header is parsed by pynrrd.

Data are read here, not by pynrrd, because it unpacks whatever the stream holds: here the header's size is the limit.
Detached data files are refused: a header from elsewhere must not choose which files are opened.
"""

from __future__ import annotations

import bz2
import gzip
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from osler.errors import ImageError
from osler.images.files import DEFAULT_MAX_VOLUME_BYTES
from osler.images.volumes import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
_COLOURS = {"rgb-color": 3, "3-color": 3, "rgba-color": 4, "4-color": 4}
_SIGNS = {
    "right": (0, 1),
    "left": (0, -1),
    "anterior": (1, 1),
    "posterior": (1, -1),
    "superior": (2, 1),
    "inferior": (2, -1),
}
_SHORT = {"r": "right", "l": "left", "a": "anterior", "p": "posterior", "s": "superior", "i": "inferior"}


def open_nrrd(path: Path) -> Grid:
    """Open an NRRD file.

    Args:
        path: an existing file that begins with "NRRD".

    Returns:
        Its grid. A space direction makes an axis spatial; one further axis may hold colours or a series. Without a
        named space the axes are taken as columns, rows and slices of pictures, and `orientation` is "assumed".

    Raises:
        ImageError: when the header is damaged, names other files, claims more than the file holds, or has no volume.
    """
    with _shielded(path), path.open("rb") as file:
        import nrrd

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # repeated fields and the like; what matters is checked below
            header = nrrd.read_header(file)
        return _grid(path, header, file.tell())


def _grid(path: Path, header: Any, offset: int) -> Grid:
    if "data file" in header or "datafile" in header:
        raise ImageError(path, "keeps its voxels in another file, which is not followed; save it with attached data")
    type_name = str(header["type"]).lower()
    if type_name not in _TYPES:
        raise ImageError(path, "has voxels of a type that is not a number")
    order = ">" if str(header.get("endian", "little")).lower() == "big" else "<"
    dtype = np.dtype(order + _TYPES[type_name])
    sizes = [int(size) for size in header["sizes"]]
    if not 2 <= len(sizes) <= 4 or min(sizes) < 1 or len(sizes) != int(header["dimension"]):
        raise ImageError(path, f"claims a shape of {' x '.join(map(str, sizes))}, which is no volume")
    spatial, other = _axes(path, header, sizes)
    kinds = [str(kind).lower() for kind in header.get("kinds", [])]
    kind = kinds[other] if other is not None and other < len(kinds) else ""
    colour = kind in _COLOURS and other is not None and sizes[other] == _COLOURS[kind] and dtype == np.uint8
    series = sizes[other] if other is not None and not colour else 1
    affine, known = _affine(header, spatial)
    shape = tuple(sizes[axis] for axis in spatial) + (1,) * (3 - len(spatial))
    need = int(np.prod(sizes, dtype=object)) * dtype.itemsize
    load = _loader(path, header, dtype, sizes, need, offset)

    def read(axis: int | None, index: int, volume: int | None) -> NDArray[Any]:
        with _shielded(path):
            voxels = load()
            voxels = np.transpose(voxels, spatial + ([] if other is None else [other]))
            voxels = voxels.reshape(shape + (() if other is None else (sizes[other],)))
            if colour:
                voxels = voxels[..., :3]
            elif other is not None and axis is not None:
                voxels = voxels[..., volume or 0]
            elif other is not None and series == 1:
                voxels = voxels[..., 0]
            return np.array(voxels if axis is None else np.take(voxels, index, axis=axis))

    return Grid(
        path=path,
        format="nrrd",
        shape=(shape[0], shape[1], shape[2]),
        volumes=series,
        colour=colour,
        voxel_bytes=dtype.itemsize * (sizes[other] if colour and other is not None else 1),
        affine=affine,
        orientation="radiological" if known else "assumed",
        read=read,
    )


def _axes(path: Path, header: Any, sizes: list[int]) -> tuple[list[int], int | None]:
    """Which axes are spatial, in order, and the one that is not."""
    directions = header.get("space directions")
    if directions is not None:
        spatial = [
            n for n, row in enumerate(directions) if row is not None and np.isfinite(np.asarray(row, float)).all()
        ]
    else:
        kinds = [str(kind).lower() for kind in header.get("kinds", [])]
        listed = [n for n in range(len(sizes)) if n < len(kinds) and kinds[n] in (*_COLOURS, "list", "vector", "time")]
        spatial = [n for n in range(len(sizes)) if n not in listed][:3]
    others = [n for n in range(len(sizes)) if n not in spatial]
    if not 2 <= len(spatial) <= 3 or len(others) > 1:
        raise ImageError(path, f"has {len(spatial)} spatial and {len(others)} other axes: want 2 or 3, and at most 1")
    return spatial, others[0] if others else None


def _affine(header: Any, spatial: list[int]) -> tuple[NDArray[np.float64], bool]:
    """Voxel index to millimetres in RAS+, and whether the header names the space."""
    directions = header.get("space directions")
    signs = _space(str(header.get("space", "")))
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    if directions is None or signs is None or len(np.asarray(directions[spatial[0]])) != 3:
        spacings = np.asarray(header.get("spacings", np.full(max(spatial) + 1, np.nan)), float)
        for column, axis in enumerate(spatial):
            length = spacings[axis] if axis < len(spacings) and np.isfinite(spacings[axis]) else 1.0
            if directions is not None:
                length = float(np.linalg.norm(np.asarray(directions[axis], float)))
            affine[:, column] *= abs(length) or 1.0
        return affine, False
    columns = np.eye(3)
    for column, axis in enumerate(spatial):
        columns[:, column] = np.asarray(directions[axis], float)
    if len(spatial) == 2:
        columns[:, 2] = np.cross(columns[:, 0], columns[:, 1])
        columns[:, 2] /= np.linalg.norm(columns[:, 2]) or 1.0
    turn = np.zeros((3, 3))
    for row, (axis, sign) in enumerate(signs):
        turn[axis, row] = sign
    affine = np.eye(4)
    affine[:3, :3] = turn @ columns
    origin = np.asarray(header.get("space origin", np.zeros(3)), float)
    if origin.shape == (3,) and np.isfinite(origin).all():
        affine[:3, 3] = turn @ origin
    return affine, True


def _space(name: str) -> list[tuple[int, int]] | None:
    """For each coordinate of a named space, the RAS+ axis and its sign; None for spaces not tied to the patient."""
    words = name.lower().removesuffix("-time").split("-")
    if len(words) == 1 and len(words[0]) in (3, 4):
        words = [_SHORT.get(letter, "") for letter in words[0][:3]]
    found = [_SIGNS[word] for word in words if word in _SIGNS]
    return found if len(found) == 3 and {axis for axis, _ in found} == {0, 1, 2} else None


def _loader(path: Path, header: Any, dtype: np.dtype[Any], sizes: list[int], need: int, offset: int) -> Any:
    """A function that returns all voxels, shape `sizes`; raw data stay on disk as a memory map."""
    encoding = str(header.get("encoding", "raw")).lower()
    size = path.stat().st_size
    lines, skip = int(header.get("line skip", 0) or 0), int(header.get("byte skip", 0) or 0)
    if lines or (skip and encoding != "raw"):
        raise ImageError(path, "skips lines or bytes before its voxels, which is read for raw data only")
    if encoding == "raw":
        start = size - need if skip == -1 else offset + skip
        if start < offset or start + need > size:
            raise ImageError(
                path, f"claims {need:,} bytes of voxels but has {max(0, size - offset):,}: it is truncated"
            )
        return lambda: np.memmap(path, dtype, "r", start, tuple(sizes), order="F")
    if encoding not in ("gzip", "gz", "bzip2", "bz2", "ascii", "text", "txt"):
        raise ImageError(path, "has an encoding that is not read; save it as raw, gzip or bzip2")
    if need > DEFAULT_MAX_VOLUME_BYTES:
        raise ImageError(path, f"claims {need:,} bytes of voxels, more than the limit of {DEFAULT_MAX_VOLUME_BYTES:,}")

    def unpack() -> NDArray[Any]:
        with path.open("rb") as file:
            file.seek(offset)
            if encoding in ("ascii", "text", "txt"):
                words = file.read().split()
                voxels = np.array(words[: int(np.prod(sizes))], dtype=np.float64).astype(dtype)
            else:
                voxels = np.frombuffer(_read_packed(file, encoding, need), dtype)
        if voxels.size * dtype.itemsize != need:
            raise ImageError(path, f"claims {need:,} bytes of voxels but holds fewer: it is truncated")
        return voxels.reshape(sizes, order="F")

    return unpack


def _read_packed(file: BinaryIO, encoding: str, need: int) -> bytes:
    """At most `need` unpacked bytes, in pieces, so that a short stream never allocates what its header claims."""
    stream: Any = gzip.GzipFile(fileobj=file) if encoding in ("gzip", "gz") else bz2.BZ2File(file)
    pieces, left = [], need
    with stream:
        while left > 0:
            piece = stream.read(min(left, 1 << 24))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
    return b"".join(pieces)


@contextmanager
def _shielded(path: Path) -> Iterator[None]:
    """Whatever pynrrd, the unpackers or NumPy raise becomes an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(path, "does not fit into memory; it is damaged or too large") from None
    except Exception as error:
        raise ImageError(path, f"is damaged or truncated ({type(error).__name__} while reading NRRD)") from None
