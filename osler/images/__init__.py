"""Pictures in, 8-bit RGB out: raster files, DICOM, NIfTI and NRRD, through one function.

`load_image` reads any of them. What a file says that a person must not lose (window, frame, burned-in text) travels in
`ImageInfo`; what a person must not see (identifiers) never leaves the file. Importing this package is cheap: decoders
load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_LAZY = {
    "DEFAULT_MAX_PIXELS": "osler.images.files",
    "DEFAULT_MAX_VOLUME_BYTES": "osler.images.files",
    "ImageInfo": "osler.images.info",
    "LoadedImage": "osler.images.info",
    "MaskSlice": "osler.images.volumes",
    "PRESETS": "osler.images.windows",
    "Volume": "osler.images.volumes",
    "Window": "osler.images.windows",
    "file_sha256": "osler.images.fingerprints",
    "image_size": "osler.images.loading",
    "load_image": "osler.images.loading",
    "load_mask_slices": "osler.images.loading",
    "load_volume": "osler.images.loading",
    "near_duplicate_groups": "osler.images.fingerprints",
    "parse_window": "osler.images.windows",
    "perceptual_hash": "osler.images.fingerprints",
}

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "DEFAULT_MAX_VOLUME_BYTES",
    "PRESETS",
    "ImageInfo",
    "LoadedImage",
    "MaskSlice",
    "Volume",
    "Window",
    "file_sha256",
    "image_size",
    "load_image",
    "load_mask_slices",
    "load_volume",
    "near_duplicate_groups",
    "parse_window",
    "perceptual_hash",
]

if TYPE_CHECKING:
    from osler.images.files import DEFAULT_MAX_PIXELS, DEFAULT_MAX_VOLUME_BYTES
    from osler.images.fingerprints import file_sha256, near_duplicate_groups, perceptual_hash
    from osler.images.info import ImageInfo, LoadedImage
    from osler.images.loading import image_size, load_image, load_mask_slices, load_volume
    from osler.images.volumes import MaskSlice, Volume
    from osler.images.windows import PRESETS, Window, parse_window


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'osler.images' has no attribute {name!r}")
