"""Where a DICOM picture lies in the patient (PS3.3 C.7.6.2, image plane module)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osler.images.dicom_header import functional_group, numbers

OFF_PLANE = 1.0  # mm that a contour or a frame may lie beside its picture
OFF_GRID = 0.5  # pixels that a frame's corners may lie beside those of its picture


@dataclass(frozen=True, slots=True)
class Plane:
    """A picture's grid.

    Args:
        origin: centre of the first pixel, in mm of the patient.
        along_row: unit vector in which the column number grows.
        along_column: unit vector in which the row number grows.
        spacing: mm between rows, and between columns.
        columns: width in pixels.
        rows: height in pixels.
    """

    origin: NDArray[np.float64]
    along_row: NDArray[np.float64]
    along_column: NDArray[np.float64]
    spacing: tuple[float, float]
    columns: int
    rows: int

    def to_pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(x, y) in pixels, whole numbers at pixel centres, of points in mm: equation C.7.6.2.1-1 turned round.

        Args:
            points: shape (n, 3).

        Returns:
            Shape (n, 2).
        """
        offset = points - self.origin
        return np.stack(
            [offset @ self.along_row / self.spacing[1], offset @ self.along_column / self.spacing[0]], axis=1
        )

    def distances(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance of points, shape (n, 3), from the plane, in mm."""
        return np.abs((points - self.origin) @ np.cross(self.along_row, self.along_column))

    def corners(self) -> NDArray[np.float64]:
        """Centres of the first pixel, the last of the first row and the last of the first column, shape (3, 3)."""
        right = self.along_row * self.spacing[1] * (self.columns - 1)
        down = self.along_column * self.spacing[0] * (self.rows - 1)
        return np.stack([self.origin, self.origin + right, self.origin + down])

    def same_grid(self, other: Plane) -> bool:
        """Whether pixel (x, y) of both lies at one place, to half a pixel and a millimetre."""
        if (self.columns, self.rows) != (other.columns, other.rows):
            return False
        wanted = np.array([[0, 0], [self.columns - 1, 0], [0, self.rows - 1]], dtype=float)
        there = other.corners()
        beside = np.abs(self.to_pixels(there) - wanted).max()
        return bool(beside <= OFF_GRID and self.distances(there).max() <= OFF_PLANE)


def plane_of(ds: Any, frame: int | None = None) -> Plane | None:
    """The plane of a picture, or of a frame of a multi-frame object; None when the file does not state it."""
    if frame is None:
        position, orientation, measures = ds, ds, ds
    else:
        position = functional_group(ds, frame, "PlanePositionSequence")
        orientation = functional_group(ds, frame, "PlaneOrientationSequence")
        measures = functional_group(ds, frame, "PixelMeasuresSequence")
    if position is None or orientation is None or measures is None:
        return None
    origin = numbers(position, "ImagePositionPatient")
    axes = numbers(orientation, "ImageOrientationPatient")
    spacing = numbers(measures, "PixelSpacing")
    if (len(origin), len(axes), len(spacing)) != (3, 6, 2) or min(spacing) <= 0:
        return None
    along_row, along_column = np.array(axes[:3]), np.array(axes[3:])
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if min(lengths) < 0.5:
        return None
    return Plane(
        np.array(origin),
        along_row / lengths[0],
        along_column / lengths[1],
        (spacing[0], spacing[1]),
        int(ds.Columns),
        int(ds.Rows),
    )
