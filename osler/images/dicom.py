"""DICOM images to 8-bit RGB, by the display pipeline of PS3.4 N.2 as far as an image object itself describes it.

Grey: stored values, modality transform (rescale or table), intensity window, inversion of MONOCHROME1, padding black.
The window is the caller's if there is one; else that of the file (a VOI table before a window, the frame's before the
object's); else, for CT in Hounsfield units, the preset `CT_DEFAULT_PRESET`; else the 1st to 99th percentile of what is
not padding. Colour is converted to RGB and reduced to 8 bits. Overlays and presentation states are not drawn, and
supplemental palettes (coloured perfusion maps) are shown as grey.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from osler.errors import ImageError
from osler.images.dicom_header import DicomHeader, functional_group, integer, numbers, open_header, quiet, text
from osler.images.dicom_pixels import Frame, PixelLayout, check_layout, decode_frame
from osler.images.dicom_tables import apply_table, palette_to_rgb, read_table
from osler.images.dicom_terms import facts
from osler.images.info import ImageInfo, LoadedImage, fit, grey_to_rgb
from osler.images.windows import CT_DEFAULT_PRESET, ChosenWindow, Window, choose_window, percentile_window

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydicom.dataset import Dataset

Applied = dict[str, float | str]


def load_dicom(
    path: Path,
    *,
    bare: bool,
    frame: int | None,
    window: ChosenWindow | None,
    max_side: int | None,
    max_pixels: int,
) -> LoadedImage:
    """Read one frame of a DICOM image.

    Args:
        path: an existing file.
        bare: whether it lacks preamble and "DICM".
        frame: 0-based; the first by default. Other frames are not decoded.
        window: in the file's units after the modality transform; grey images only.
        max_side: upper limit of the long side.
        max_pixels: refuse frames with more.

    Raises:
        ImageError: when there is no picture in it, or it is damaged, too large or not supported. Messages quote no
            value of the file but sizes, defined terms and names of the standard.
    """
    with _shielded(path, bare) as header:
        layout = check_layout(path, header, max_pixels=max_pixels)
        number = frame or 0
        decoded = decode_frame(path, header, layout, number)
        if layout.photometric.startswith("MONOCHROME"):
            grey, applied = _render_grey(header, decoded, number, window)
            picture = grey_to_rgb(grey)
        else:
            if window is not None:
                raise ImageError(
                    path, f"is in colour ({layout.photometric}): an intensity window is for grey values; leave it out"
                )
            picture, applied = _colour(header, decoded), None
        info = ImageInfo(
            width=layout.columns,
            height=layout.rows,
            format="dicom",
            frame=number,
            frames=layout.frames,
            window=applied,
            **facts(header, number),
        )
    return LoadedImage(fit(picture, max_side), info)


def dicom_size(path: Path, *, bare: bool) -> tuple[int, int]:
    """(columns, rows) from the header.

    Raises:
        ImageError: when the file holds no picture.
    """
    with _shielded(path, bare) as header:
        layout = check_layout(path, header, max_pixels=None)
        return layout.columns, layout.rows


@contextmanager
def _shielded(path: Path, bare: bool) -> Iterator[DicomHeader]:
    """Opens a header; nothing but an ImageError leaves, and no message of a parser or decoder with it."""
    try:
        with quiet(), open_header(path, bare=bare) as header:
            yield header
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(path, "does not fit into memory; it is damaged or too large") from None
    except Exception as error:  # pydicom and the decoders raise anything; their messages may quote the file
        raise ImageError(
            path, f"is damaged or not a valid DICOM image ({type(error).__name__} while reading it)"
        ) from None


def _render_grey(
    header: DicomHeader, decoded: Frame, frame: int, chosen: ChosenWindow | None
) -> tuple[NDArray[np.uint8], Applied]:
    """Stored values of a grey frame to 8 bits, and the window that did it."""
    ds, stored, layout = header.dataset, decoded.values, decoded.layout
    padding = _padding(ds, stored, layout)
    values = _modality_transform(header, stored, frame)
    table = None if chosen is not None else _voi_table(header, values, frame)
    if table is not None:
        entries = apply_table(values, table)
        top = max(2**table.bits - 1, int(table.entries.max()))
        grey = np.rint(entries * (255.0 / top)).astype(np.uint8)
        applied: Applied = {"source": "voi-lut"}
    else:
        window, applied = _window(ds, values, padding, frame, chosen)
        grey = window.apply(values)
    if layout.photometric == "MONOCHROME1":  # the lowest value is shown white (PS3.3 C.7.6.3.1.2)
        grey = np.uint8(255) - grey
    if padding is not None:
        grey[padding] = 0
    return grey, applied


def _window(
    ds: Dataset,
    values: NDArray[Any],
    padding: NDArray[np.bool_] | None,
    frame: int,
    chosen: ChosenWindow | None,
) -> tuple[Window, Applied]:
    """The window to use, first rule that holds: caller, file, CT default, percentiles."""
    if chosen is not None:
        return chosen.window, chosen.window.as_dict(source="explicit", preset=chosen.preset)
    for module in (functional_group(ds, frame, "FrameVOILUTSequence"), ds):
        window = None if module is None else _file_window(module)
        if window is not None:
            return window, window.as_dict(source="file")
    if _in_hounsfield(ds, frame):
        window = choose_window(CT_DEFAULT_PRESET).window
        return window, window.as_dict(source="default", preset=CT_DEFAULT_PRESET)
    window = percentile_window(values, use=None if padding is None else ~padding)
    return window, window.as_dict(source="percentile")


def _file_window(module: Dataset) -> Window | None:
    """The first usable window of a VOI LUT module; width 0, which occurs, is not usable."""
    functions: dict[str, Any] = {"": "linear", "LINEAR": "linear", "LINEAR_EXACT": "linear_exact", "SIGMOID": "sigmoid"}
    function = functions.get(text(module, "VOILUTFunction"))
    if function is None:
        return None
    for level, width in zip(numbers(module, "WindowCenter"), numbers(module, "WindowWidth"), strict=False):
        try:
            return Window(level, width, function)
        except ValueError:
            continue
    return None


def _in_hounsfield(ds: Dataset, frame: int) -> bool:
    """Whether values are Hounsfield units: a CT with a rescale, not declared otherwise, and no localizer."""
    transform = functional_group(ds, frame, "PixelValueTransformationSequence") or ds
    image_type = ds.get("ImageType") or []
    return (
        text(ds, "Modality") == "CT"
        and bool(numbers(transform, "RescaleSlope"))
        and text(transform, "RescaleType") in ("", "HU")
        and "LOCALIZER" not in ([image_type] if isinstance(image_type, str) else list(image_type))
    )


def _modality_transform(header: DicomHeader, stored: NDArray[Any], frame: int) -> NDArray[Any]:
    """Stored values to the units of the modality (PS3.3 C.11.1): table, else slope and intercept in float64."""
    ds = header.dataset
    items = ds.get("ModalityLUTSequence")
    if items:
        table = read_table(items[0], header.transfer_syntax, signed=bool(stored.dtype.kind == "i"))
        return apply_table(stored, table)
    transform = functional_group(ds, frame, "PixelValueTransformationSequence") or ds
    slope, intercept = numbers(transform, "RescaleSlope"), numbers(transform, "RescaleIntercept")
    if not slope and not intercept:
        return stored
    factor, offset = (slope or [1.0])[0], (intercept or [0.0])[0]
    if factor == 1.0 and offset == 0.0:
        return stored
    return stored.astype(np.float64) * factor + offset


def _voi_table(header: DicomHeader, values: NDArray[Any], frame: int) -> Any:
    """The VOI LUT of the frame or the object, or None."""
    ds = header.dataset
    for module in (functional_group(ds, frame, "FrameVOILUTSequence"), ds):
        items = None if module is None else module.get("VOILUTSequence")
        if items:
            return read_table(items[0], header.transfer_syntax, signed=bool(values.size and values.min() < 0))
    return None


def _padding(ds: Dataset, stored: NDArray[Any], layout: PixelLayout) -> NDArray[np.bool_] | None:
    """True where a stored value is padding (PS3.3 C.7.5.1.1.2), or None if the object has none."""
    if layout.keyword != "PixelData":
        return None
    low, high = integer(ds, "PixelPaddingValue"), integer(ds, "PixelPaddingRangeLimit")
    if low is None:
        return None
    high = low if high is None else high
    if layout.signed:  # often written as unsigned although the pixels are signed
        half, full = 2 ** (layout.bits_allocated - 1), 2**layout.bits_allocated
        low, high = (value - full if value >= half else value for value in (low, high))
    mask = (stored >= min(low, high)) & (stored <= max(low, high))
    return mask if mask.any() else None


def _colour(header: DicomHeader, decoded: Frame) -> Image:
    """A colour frame as RGB, its high 8 bits where it has more."""
    from PIL import Image as Pillow

    values = decoded.values
    if decoded.layout.photometric == "PALETTE COLOR":
        return Pillow.fromarray(palette_to_rgb(header, values))
    if decoded.bits > 8:
        values = values >> (decoded.bits - 8)
    elif decoded.bits < 8:
        values = values * (255 // (2**decoded.bits - 1))
    return Pillow.fromarray(np.ascontiguousarray(np.clip(values, 0, 255).astype(np.uint8)))
