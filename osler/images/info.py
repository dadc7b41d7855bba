"""`LoadedImage` and `ImageInfo`: a picture and what is known about it, without identifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What a file says about a picture. Every text comes from a closed list, so no identifier can pass.

    Args:
        width: in pixels, after orientation, before `max_side`.
        height: in pixels.
        format: "png", "jpeg", "tiff", "webp", "bmp", "gif", "dicom", "nifti" or "nrrd".
        frame: 0-based frame, or slice of a volume.
        frames: how many the file holds.
        window: intensity window that was applied (`level`, `width`, `function`, `source`, maybe `preset`), or only
            `source` "voi-lut" for a look-up table of the file, or None for pictures shown as stored. `source` is one of
            "explicit", "file", "voi-lut", "default" (CT without a window) and "percentile".
        modality: DICOM defined term (CT, MR, US ...), else None.
        body_part: DICOM defined term (CHEST ...), else None.
        laterality: "L", "R", "B" (both) or "U" (unpaired), else None.
        view: DICOM view position (PA, AP, LL, CC, MLO ...), else None.
        photometric: photometric interpretation as stored, DICOM only.
        transfer_syntax: name of the DICOM transfer syntax.
        burned_in: True if text is burned into the pixels or, by the rule in `osler.images.dicom_header`, is likely to
            be; False if the file denies it; None if unknown.
        burned_in_basis: "tag" if the file says so, "rule" if the rule does.
        pixel_spacing: millimetres between rows and between columns of the picture, before `max_side`.
        orientation: "radiological" for a volume slice turned by its header, "assumed" if the header says nothing.
    """

    width: int
    height: int
    format: str
    frame: int = 0
    frames: int = 1
    window: dict[str, float | str] | None = None
    modality: str | None = None
    body_part: str | None = None
    laterality: str | None = None
    view: str | None = None
    photometric: str | None = None
    transfer_syntax: str | None = None
    burned_in: bool | None = None
    burned_in_basis: str | None = None
    pixel_spacing: tuple[float, float] | None = None
    orientation: str | None = None

    def as_provenance(self) -> dict[str, str | int | float | bool | None]:
        """Flat facts for `Record.provenance.notes`: format, frame, window, burned-in text. No identifiers."""
        notes: dict[str, str | int | float | bool | None] = {"format": self.format}
        if self.frames > 1:
            notes |= {"frame": self.frame, "frames": self.frames}
        for key, value in (self.window or {}).items():
            notes[f"window_{key}"] = value
        if self.burned_in is not None:
            notes |= {"burned_in_text": self.burned_in, "burned_in_basis": self.burned_in_basis}
        if self.orientation is not None:
            notes["orientation"] = self.orientation
        return notes


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """A picture ready for a model or a screen.

    Args:
        image: mode RGB, 8 bits a channel, at most `max_side` pixels on the long side if that was asked for.
        info: what is known about it; sizes there are those of the full picture.
    """

    image: Image
    info: ImageInfo


def fit(image: Image, max_side: int | None) -> Image:
    """Shrink a picture so that its long side has at most `max_side` pixels; never enlarge it.

    Args:
        image: any size.
        max_side: pixels, or None for no limit.

    Returns:
        The picture itself if it fits, else a Lanczos-filtered smaller one of the same aspect.
    """
    from PIL import Image as Pillow

    width, height = fitted_size(image.size, max_side)
    if (width, height) == image.size:
        return image
    return image.resize((width, height), Pillow.Resampling.LANCZOS)


def fitted_size(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """(width, height) after shrinking the long side to at most `max_side` pixels, at least 1 x 1."""
    width, height = size
    if max_side is None or max(width, height) <= max_side:
        return width, height
    scale = max_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def grey_to_rgb(grey: Any) -> Image:
    """8-bit grey array, shape (height, width), to an RGB picture."""
    from PIL import Image as Pillow

    return Pillow.fromarray(grey).convert("RGB")
