"""`load_image`, `image_size`, `load_volume`, `load_mask_slices`: one door for every kind of file."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from osler.errors import ImageError
from osler.images.files import DEFAULT_MAX_PIXELS, DEFAULT_MAX_VOLUME_BYTES, checked_path, kind_of
from osler.images.windows import ChosenWindow, Window, choose_window

if TYPE_CHECKING:
    from osler.images.info import LoadedImage
    from osler.images.volumes import Axis, MaskSlice, Volume


def load_image(
    path: str | PathLike[str],
    *,
    frame: int | None = None,
    window: Window | Mapping[str, Any] | str | None = None,
    max_side: int | None = None,
    axis: Axis = "axial",
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> LoadedImage:
    """Read a picture as 8-bit RGB, with what is known about it. The content decides what a file is, not its name.

    Args:
        path: PNG, JPEG, TIFF, WebP, BMP, GIF, DICOM, NIfTI or NRRD.
        frame: 0-based frame, page or slice. By default the first frame, or the middle slice of a volume. Slices of a
            series of volumes go on counting: frame = volume * slices + slice.
        window: a `Window`, a preset's name, "LEVEL/WIDTH" or a mapping, in the file's units; wins over the file's own.
        max_side: shrink so that the long side has at most so many pixels.
        axis: plane of a volume: "axial" (slices from the feet up), "coronal" (from the back forward) or "sagittal"
            (from the left to the right). Ignored for files that are no volumes.
        max_pixels: refuse frames with more, before they are decoded.

    Returns:
        The picture and its `ImageInfo`.

    Raises:
        ImageError: when the file is absent, no picture, damaged, too large, or frame or window do not fit.
    """
    found = checked_path(path)
    if max_side is not None and max_side < 1:
        raise ImageError(found, f"max_side is {max_side}: want at least 1 pixel")
    chosen = _chosen(found, window)
    kind = kind_of(found)
    if kind in ("dicom", "dicom-bare"):
        from osler.images.dicom import load_dicom

        return load_dicom(
            found, bare=kind == "dicom-bare", frame=frame, window=chosen, max_side=max_side, max_pixels=max_pixels
        )
    if kind in ("nifti", "nrrd"):
        from osler.images.volumes import load_slice

        return load_slice(
            _grid(found, kind), frame=frame, axis=axis, window=chosen, max_side=max_side, max_pixels=max_pixels
        )
    from osler.images.raster import load_raster

    return load_raster(found, kind, frame=frame, window=chosen, max_side=max_side, max_pixels=max_pixels)


def image_size(path: str | PathLike[str], *, axis: Axis = "axial") -> tuple[int, int]:
    """(width, height) in pixels after orientation, from the header alone.

    Args:
        path: like `load_image`.
        axis: plane of a volume.

    Raises:
        ImageError: when the file is absent, no picture, or its header is damaged.
    """
    found = checked_path(path)
    kind = kind_of(found)
    if kind in ("dicom", "dicom-bare"):
        from osler.images.dicom import dicom_size

        return dicom_size(found, bare=kind == "dicom-bare")
    if kind in ("nifti", "nrrd"):
        return _grid(found, kind).picture_size(axis)
    from osler.images.raster import raster_size

    return raster_size(found, kind)


def load_volume(path: str | PathLike[str], *, max_bytes: int = DEFAULT_MAX_VOLUME_BYTES) -> Volume:
    """Read a whole NIfTI or NRRD volume into the canonical orientation.

    Args:
        path: a single-file NIfTI (.nii, .nii.gz) or NRRD with attached data.
        max_bytes: refuse volumes that need more memory, before they are read.

    Raises:
        ImageError: when the file is absent, no volume, damaged, or too large.
    """
    found = checked_path(path)
    kind = kind_of(found)
    if kind not in ("nifti", "nrrd"):
        raise ImageError(found, f"is {kind}, not a volume: NIfTI and NRRD are volumes; use load_image")
    return _grid(found, kind).volume(max_bytes)


def load_mask_slices(
    path: str | PathLike[str], *, axis: Axis = "axial", max_bytes: int = DEFAULT_MAX_VOLUME_BYTES
) -> list[MaskSlice]:
    """The slices of a label volume that hold a label, turned and numbered exactly as `load_image` turns its image.

    Args:
        path: NIfTI or NRRD of integer labels, 0 for background.
        axis: plane.
        max_bytes: refuse volumes that need more memory.

    Returns:
        One `MaskSlice` per slice with a non-zero label, ascending.

    Raises:
        ImageError: when the file is no label volume.
    """
    from osler.images.volumes import mask_slices

    return mask_slices(load_volume(path, max_bytes=max_bytes), axis=axis)


def _chosen(path: Any, window: Window | Mapping[str, Any] | str | None) -> ChosenWindow | None:
    if window is None:
        return None
    try:
        return choose_window(window)
    except ValueError as error:
        raise ImageError(path, str(error)) from None


def _grid(path: Any, kind: str) -> Any:
    if kind == "nifti":
        from osler.images.nifti import open_nifti

        return open_nifti(path)
    from osler.images.nrrd import open_nrrd

    return open_nrrd(path)
