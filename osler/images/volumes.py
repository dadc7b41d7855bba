"""Volumes in one orientation, and slices of them as radiologists look at them.

Canonical orientation is RAS+: the array's axes grow towards the patient's right, front and head. Pictures follow the
radiological convention: an axial slice has the front on top and the patient's right on the viewer's left, a coronal
one the head on top and the right on the left, a sagittal one the head on top and the front on the left. Oblique volumes
go to the nearest axes; nothing is interpolated, and pixels that are not square stay so (see `pixel_spacing`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from osler.boxes import Box
from osler.errors import ImageError
from osler.images.files import DEFAULT_MAX_VOLUME_BYTES
from osler.images.info import ImageInfo, LoadedImage, fit, grey_to_rgb
from osler.images.windows import ChosenWindow, Window, percentile_window

Axis = Literal["axial", "coronal", "sagittal"]
_CANONICAL_AXIS: dict[str, int] = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """An opened volume file: checked header, voxels not read yet.

    Args:
        path: of the file.
        format: "nifti" or "nrrd".
        shape: voxels along the three stored spatial axes.
        volumes: how many volumes follow each other (time, b-values).
        colour: whether a voxel is RGB.
        voxel_bytes: bytes of a voxel in memory.
        affine: (4, 4) float64, voxel index to millimetres in RAS+.
        orientation: "radiological" if the header knows it, else "assumed".
        read: (stored axis or None, index, volume or None) -> voxels with real values. With an axis, one slice of one
            volume, shape (a, b) or (a, b, 3); without, shape (x, y, z), (x, y, z, t) or (x, y, z, 3).
    """

    path: Path
    format: str
    shape: tuple[int, int, int]
    volumes: int
    colour: bool
    voxel_bytes: int
    affine: NDArray[np.float64]
    orientation: str
    read: Callable[[int | None, int, int | None], NDArray[Any]]

    def orientations(self) -> NDArray[np.float64]:
        """Per stored axis: the canonical axis it runs along, and 1 or -1 for its direction, shape (3, 2).

        Raises:
            ImageError: when the header's matrix does not span space.
        """
        from nibabel.orientations import io_orientation

        if not np.isfinite(self.affine).all() or abs(np.linalg.det(self.affine[:3, :3])) < 1e-12:
            raise ImageError(self.path, "has an orientation matrix that does not span space; repair its header")
        return io_orientation(self.affine)

    def stored_axis(self, axis: str) -> tuple[int, bool]:
        """The stored axis that slices of a plane follow, and whether it runs backwards."""
        if axis not in _CANONICAL_AXIS:
            raise ImageError(self.path, f"has no plane {axis!r}: want axial, coronal or sagittal")
        table = self.orientations()
        stored = int(np.flatnonzero(table[:, 0] == _CANONICAL_AXIS[axis])[0])
        return stored, bool(table[stored, 1] < 0)

    def slices(self, axis: str) -> int:
        """How many slices a volume has in a plane."""
        return self.shape[self.stored_axis(axis)[0]]

    def picture_size(self, axis: str) -> tuple[int, int]:
        """(width, height) of a slice."""
        sizes = self._canonical(self.shape)
        across, up = (number for number in range(3) if number != _CANONICAL_AXIS[self._plane(axis)])
        return sizes[across], sizes[up]

    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxels along the canonical axes."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        x, y, z = self._canonical([float(length) for length in lengths])
        return x, y, z

    def slice_picture(self, axis: str, frame: int) -> NDArray[Any]:
        """Voxels of a slice, turned for the viewer: shape (height, width) or (height, width, 3)."""
        stored, backwards = self.stored_axis(axis)
        count = self.shape[stored]
        volume, number = divmod(frame, count)
        plane = self.read(stored, count - 1 - number if backwards else number, volume)
        table = np.delete(self.orientations(), stored, axis=0)
        plane = _flip(plane, table)
        if table[0, 0] > table[1, 0]:
            plane = np.swapaxes(plane, 0, 1)
        return _to_picture(plane)

    def volume(self, max_bytes: int) -> Volume:
        """All voxels in canonical orientation.

        Raises:
            ImageError: when it needs more memory than `max_bytes`.
        """
        self.check_bytes(max_bytes, self.volumes)
        from nibabel.orientations import inv_ornt_aff

        table = self.orientations()
        voxels = _flip(self.read(None, 0, None), table)
        order = [int(np.flatnonzero(table[:, 0] == number)[0]) for number in range(3)]
        voxels = np.transpose(voxels, order + list(range(3, voxels.ndim)))
        return Volume(
            path=self.path,
            array=voxels,
            spacing=self.spacing(),
            affine=self.affine @ inv_ornt_aff(table, self.shape),
            colour=self.colour,
            orientation=self.orientation,
            format=self.format,
        )

    def check_bytes(self, limit: int, volumes: int) -> None:
        """Refuse what does not fit, before it is read."""
        need = self.shape[0] * self.shape[1] * self.shape[2] * volumes * self.voxel_bytes
        if need > limit:
            raise ImageError(
                self.path,
                f"claims {' x '.join(map(str, self.shape))} voxels in {volumes} volume(s), {need:,} bytes, more than "
                f"the limit of {limit:,}",
            )

    def _canonical(self, values: Any) -> list[Any]:
        out: list[Any] = [None, None, None]
        for stored, (target, _) in enumerate(self.orientations()):
            out[int(target)] = values[stored]
        return out

    def _plane(self, axis: str) -> str:
        self.stored_axis(axis)  # raises for a plane that does not exist
        return axis


def _flip(voxels: NDArray[Any], table: NDArray[np.float64]) -> NDArray[Any]:
    for number, (_, direction) in enumerate(table):
        if direction < 0:
            voxels = np.flip(voxels, axis=number)
    return voxels


def _to_picture(plane: NDArray[Any]) -> NDArray[Any]:
    """A canonical plane (across, up) to rows from the top and columns from the left; the same for all three planes."""
    return np.swapaxes(plane[::-1, ::-1], 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume in canonical (RAS+) orientation.

    Args:
        path: of the file.
        array: shape (x, y, z), (x, y, z, t) or, with `colour`, (x, y, z, 3); values in the file's units.
        spacing: millimetres along x, y and z.
        affine: (4, 4) float64, index in `array` to millimetres in RAS+.
        colour: whether the last axis is RGB.
        orientation: "radiological" if the header knows it, else "assumed".
        format: "nifti" or "nrrd".
    """

    path: Path
    array: NDArray[Any]
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]
    colour: bool
    orientation: str
    format: str

    def window(self) -> Window:
        """1st to 99th percentile of all voxels, so that the slices of a volume share one window."""
        return percentile_window(self.array)

    def picture(self, frame: int, *, axis: Axis = "axial", volume: int = 0) -> NDArray[Any]:
        """Voxels of a slice turned as `load_image` turns it: shape (height, width) or (height, width, 3)."""
        voxels = self.array[..., volume] if self.array.ndim == 4 and not self.colour else self.array
        return _to_picture(np.take(voxels, frame, axis=_CANONICAL_AXIS[axis]))

    def check_same_grid(self, other: Volume) -> None:
        """Refuse a pair (image and mask) whose voxels are not the same places.

        Raises:
            ImageError: when the shapes differ, or corners lie more than a tenth of a voxel apart.
        """
        if self.array.shape[:3] != other.array.shape[:3]:
            raise ImageError(
                other.path, f"has {other.array.shape[:3]} voxels but {self.path.name} has {self.array.shape[:3]}"
            )
        corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
        corners[:, :3] *= np.array(self.array.shape[:3]) - 1
        apart = np.abs((corners @ (self.affine - other.affine).T)[:, :3]).max()
        if apart > 0.1 * min(self.spacing):
            raise ImageError(other.path, f"lies {apart:.3g} mm away from {self.path.name}: resample one to the other")


class MaskSlice(NamedTuple):
    """A slice of a label volume.

    Args:
        frame: slice number, as in `load_image(frame=...)`.
        labels: shape (height, width), integers, 0 for background; turned as `load_image` turns the image.
    """

    frame: int
    labels: NDArray[np.int64]

    def box(self, label: int | None = None) -> Box | None:
        """The smallest box around a label (around any label by default); None if it is not on this slice."""
        found = self.labels != 0 if label is None else self.labels == label
        rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
        if rows.size == 0:
            return None
        height, width = self.labels.shape
        return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1), width, height)


def mask_slices(volume: Volume, *, axis: Axis) -> list[MaskSlice]:
    """Slices of a label volume that hold a label, ascending.

    Raises:
        ImageError: when it is a series, in colour, or holds fractions.
    """
    if volume.array.ndim != 3:
        raise ImageError(volume.path, "is a series or in colour; a mask is one volume of labels")
    if axis not in _CANONICAL_AXIS:
        raise ImageError(volume.path, f"has no plane {axis!r}: want axial, coronal or sagittal")
    labels = np.rint(volume.array).astype(np.int64) if volume.array.dtype.kind == "f" else volume.array
    if volume.array.dtype.kind == "f" and not np.array_equal(labels, volume.array):
        raise ImageError(volume.path, "holds fractions; a mask holds whole labels")
    along = _CANONICAL_AXIS[axis]
    others = tuple(number for number in range(3) if number != along)
    return [
        MaskSlice(int(number), _to_picture(np.take(labels, number, axis=along)).astype(np.int64))
        for number in np.flatnonzero(labels.any(axis=others))
    ]


def load_slice(
    grid: Grid, *, frame: int | None, axis: Axis, window: ChosenWindow | None, max_side: int | None, max_pixels: int
) -> LoadedImage:
    """One slice of a volume as a picture; see `osler.images.load_image`.

    Raises:
        ImageError: when the slice does not exist, the volume is damaged or too large, or a window is given for colour.
    """
    size = grid.picture_size(axis)
    if size[0] * size[1] > max_pixels:
        raise ImageError(grid.path, f"claims slices of {size[0]} x {size[1]} pixels, above the limit {max_pixels:,}")
    grid.check_bytes(DEFAULT_MAX_VOLUME_BYTES, 1)  # a slice across the storage order reads through all of a volume
    slices = grid.slices(axis)
    frames = slices * grid.volumes
    number = slices // 2 if frame is None else frame
    if not 0 <= number < frames:
        raise ImageError(grid.path, f"has no slice {number}: it holds {frames}, numbered from 0")
    values = grid.slice_picture(axis, number)
    x, y, z = grid.spacing()
    spacing = {"axial": (y, x), "coronal": (z, x), "sagittal": (z, y)}[axis]
    applied: dict[str, float | str] | None = None
    if grid.colour:
        if window is not None:
            raise ImageError(grid.path, "is in colour: an intensity window is for grey values only; leave it out")
        from PIL import Image

        picture = Image.fromarray(np.ascontiguousarray(values))
    else:
        chosen = window.window if window is not None else percentile_window(values)
        applied = (
            chosen.as_dict(source="explicit", preset=window.preset)
            if window is not None
            else chosen.as_dict(source="percentile")
        )
        picture = grey_to_rgb(np.ascontiguousarray(chosen.apply(values)))
    info = ImageInfo(
        width=size[0],
        height=size[1],
        format=grid.format,
        frame=number,
        frames=frames,
        window=applied,
        pixel_spacing=spacing,
        orientation=grid.orientation,
    )
    return LoadedImage(fit(picture, max_side), info)
