"""NIfTI-1 and NIfTI-2, plain or gzipped: header checked first, slices read lazily through nibabel.

The header says how much to read, so a gzip bomb stays packed; a header that claims more than the file can hold is
refused before anything is allocated.
"""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from osler.errors import ImageError
from osler.images.files import read_head
from osler.images.volumes import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFLATE_MAX_RATIO = 1032  # the densest deflate can pack: 258 bytes in 2 bits
_TO_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}


def open_nifti(path: Path) -> Grid:
    """Open a NIfTI file.

    Args:
        path: an existing single-file NIfTI.

    Returns:
        Its grid; voxels are read on demand, scaled by scl_slope and scl_inter.

    Raises:
        ImageError: when the header is damaged, claims more than the file holds, or the kind of voxel is not read.
    """
    with _shielded(path), _opened(path) as file:
        return _grid(path, file)


def _grid(path: Path, file: BinaryIO) -> Grid:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    head = file.read(4)
    file.seek(0)
    header: Any = (Nifti2Header if head in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c") else Nifti1Header).from_fileobj(
        file
    )
    if bytes(header["magic"].item())[:2] in (b"ni",):
        raise ImageError(path, "is the header of a two-file NIfTI; convert the pair to one .nii file")
    dims = [int(size) for size in header.get_data_shape()]
    if not 2 <= len(dims) <= 7 or min(dims) < 1:
        raise ImageError(path, f"claims a shape of {' x '.join(map(str, dims))}, which is no volume")
    x, y, z, t, *more = dims + [1] * (5 - len(dims))
    if any(size != 1 for size in more):
        raise ImageError(path, "has vectors for voxels (a fifth dimension), which are no grey values")
    dtype = header.get_data_dtype()
    colour = dtype.names is not None
    if dtype.kind == "c":
        raise ImageError(path, "has complex voxels; save magnitude or phase")
    if colour and t > 1:
        raise ImageError(path, "is a series of colour volumes, which is not read; split it")
    count = x * y * z * t
    _check_file(path, header.get_data_offset() + count * dtype.itemsize)
    slope, inter = header.get_slope_inter()
    scaled = slope is not None and (slope, inter) != (1.0, 0.0)
    known = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    factor = _TO_MM.get(header.get_xyzt_units()[0], 1.0)
    affine = np.diag([factor, factor, factor, 1.0]) @ header.get_best_affine()
    spec = (tuple(dims), dtype, header.get_data_offset(), slope, inter)

    def read(axis: int | None, index: int, volume: int | None) -> NDArray[Any]:
        from nibabel.arrayproxy import ArrayProxy

        with _shielded(path), _opened(path) as again:
            proxy = ArrayProxy(again, spec, mmap=False)
            where: list[Any] = [slice(None)] * len(dims)
            if axis is None:
                voxels = np.asarray(proxy)
                voxels = voxels.reshape((x, y, z) if t == 1 else (x, y, z, t))
            else:
                if axis < len(dims):
                    where[axis] = index
                if len(dims) > 3:
                    where[3] = volume or 0
                    where[4:] = [0] * (len(dims) - 4)
                voxels = np.asarray(proxy[tuple(where)])
                rest = [size for number, size in enumerate((x, y, z)) if number != axis]
                voxels = voxels.reshape(rest)
            if colour:
                voxels = np.stack([voxels[name] for name in ("R", "G", "B")], axis=-1)
            return voxels

    return Grid(
        path=path,
        format="nifti",
        shape=(x, y, z),
        volumes=t,
        colour=colour,
        voxel_bytes=8 if scaled else dtype.itemsize,
        affine=affine,
        orientation="radiological" if known else "assumed",
        read=read,
    )


def _check_file(path: Path, need: int) -> None:
    """A plain file must hold what the header claims; a gzipped one must be able to."""
    size = path.stat().st_size
    if read_head(path, 2) == b"\x1f\x8b":
        if need > size * _DEFLATE_MAX_RATIO:
            raise ImageError(path, f"claims {need:,} bytes, which {size:,} gzipped bytes cannot hold: it is truncated")
    elif need > size:
        raise ImageError(path, f"claims {need:,} bytes but has {size:,}: it is truncated")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    opener: Any = gzip.open if read_head(path, 2) == b"\x1f\x8b" else open
    with opener(path, "rb") as file:
        yield cast(BinaryIO, file)


@contextmanager
def _shielded(path: Path) -> Iterator[None]:
    """Whatever nibabel, gzip or NumPy raise becomes an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(path, "does not fit into memory; it is damaged or too large") from None
    except Exception as error:
        raise ImageError(path, f"is damaged or truncated ({type(error).__name__} while reading NIfTI)") from None
