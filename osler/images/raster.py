"""PNG, JPEG, TIFF, WebP, BMP and GIF to 8-bit RGB.

Rules, in this order:

- The pixel count is read from the header and checked before anything is decoded. Pillow's own process-wide limit
  (`MAX_IMAGE_PIXELS`) is neither used nor changed: the file classes are called directly.
- EXIF orientation is applied. An EXIF block that cannot be read counts as none.
- Grey of more than 8 bits (16, 32 bits, float) goes through an intensity window: the caller's, or the 1st to 99th
  percentile. 16-bit colour keeps its high byte. 1- and 8-bit values are shown as they are.
- Alpha is flattened on white, the paper that figures with alpha are drawn for.
- CMYK, YCbCr and Lab become RGB without colour management; ICC profiles are ignored.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from osler.errors import ImageError
from osler.images.info import ImageInfo, LoadedImage, fit, fitted_size, grey_to_rgb
from osler.images.windows import ChosenWindow, percentile_window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

ALPHA_BACKGROUND = (255, 255, 255)
_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_TURNED = {5, 6, 7, 8}  # EXIF orientations that swap width and height


def load_raster(
    path: Path,
    kind: str,
    *,
    frame: int | None,
    window: ChosenWindow | None,
    max_side: int | None,
    max_pixels: int,
) -> LoadedImage:
    """Read one picture of a raster file.

    Args:
        path: an existing file.
        kind: from `osler.images.files.kind_of`.
        frame: page of a TIFF or frame of an animation, 0-based; the first by default.
        window: for grey files, in the file's units.
        max_side: upper limit of the long side. JPEG is then decoded at 1/2, 1/4 or 1/8 in the DCT domain first.
        max_pixels: refuse more.

    Raises:
        ImageError: when the file is damaged, too large, of an unsupported variant, or `frame` or `window` do not fit.
    """
    with _opened(path, kind, max_pixels) as image:
        frames = _seek(path, image, frame, max_pixels)
        orientation = _orientation(image, kind)
        size = _oriented(image.size, orientation)
        if kind == "jpeg" and window is None:
            width, height = fitted_size(size, max_side)
            image.draft(None, (height, width) if orientation in _TURNED else (width, height))
        image.load()
        picture, applied = _to_rgb(path, image, window)
        picture = _turn(picture, orientation)
        info = ImageInfo(
            width=size[0], height=size[1], format=kind, frame=frame or 0, frames=frames, window=applied, burned_in=None
        )
        target = fitted_size(size, max_side)
        if picture.size != target:  # draft() may already have shrunk it, so the target comes from the full size
            picture = picture.resize(target, _lanczos())
        return LoadedImage(fit(picture, max_side), info)


def raster_size(path: Path, kind: str) -> tuple[int, int]:
    """(width, height) of the first picture after orientation, from the header.

    Raises:
        ImageError: when the header is damaged.
    """
    with _opened(path, kind, None) as image:
        return _oriented(image.size, _orientation(image, kind))


def _lanczos() -> Any:
    from PIL import Image

    return Image.Resampling.LANCZOS


@contextmanager
def _opened(path: Path, kind: str, max_pixels: int | None) -> Iterator[ImageFile]:
    """The file, header read, size checked; whatever Pillow raises inside becomes an ImageError."""
    try:
        with path.open("rb") as file:
            if kind == "webp":  # its decoder allocates the canvas on opening, so its size is looked at before
                _check_pixels(path, _webp_size(path, file), max_pixels)
            with _file_class(kind)(file) as image:
                _check_pixels(path, image.size, max_pixels)
                yield image
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(path, f"does not fit into memory as {kind}; it is damaged or too large") from None
    except (
        Exception
    ) as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error, KeyError ...
        detail = f": {error}" if isinstance(error, OSError) and not isinstance(error, FileNotFoundError) else ""
        raise ImageError(
            path, f"is damaged, truncated or an unsupported variant of {kind} ({type(error).__name__}{detail})"
        ) from None


def _file_class(kind: str) -> type[ImageFile]:
    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

    return {
        "png": PngImagePlugin.PngImageFile,
        "jpeg": JpegImagePlugin.JpegImageFile,
        "tiff": TiffImagePlugin.TiffImageFile,
        "webp": WebPImagePlugin.WebPImageFile,
        "bmp": BmpImagePlugin.BmpImageFile,
        "gif": GifImagePlugin.GifImageFile,
    }[kind]


def _check_pixels(path: Path, size: tuple[int, int], max_pixels: int | None) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(path, f"claims a size of {width} x {height} pixels")
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            path,
            f"claims {width} x {height} = {width * height:,} pixels, more than the limit of {max_pixels:,}; "
            "crop or shrink it, or raise max_pixels",
        )


def _webp_size(path: Path, file: BinaryIO) -> tuple[int, int]:
    """Canvas size from a WebP header (RFC 9649 sections 2.4 to 2.7); the file is rewound."""
    head = file.read(30)
    file.seek(0)
    chunk = head[12:16]
    if chunk == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if chunk == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and len(head) >= 30:
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ImageError(path, "is a damaged or truncated WebP file")


def _seek(path: Path, image: ImageFile, frame: int | None, max_pixels: int) -> int:
    """Go to a frame; returns how many there are."""
    frames = int(getattr(image, "n_frames", 1))
    if frame is not None and not 0 <= frame < frames:
        raise ImageError(path, f"has no frame {frame}: it holds {frames}, numbered from 0")
    if frame:
        image.seek(frame)
        _check_pixels(path, image.size, max_pixels)  # pages of a TIFF differ in size
    return frames


def _orientation(image: ImageFile, kind: str) -> int:
    """EXIF orientation that is still to be applied, 1 to 8; Pillow turns TIFF itself when it loads it."""
    if kind == "tiff":
        return 1
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # an unreadable EXIF block: nothing is known, as if there were none
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _oriented(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation in _TURNED else size


def _turn(picture: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def _to_rgb(path: Path, image: ImageFile, chosen: ChosenWindow | None) -> tuple[Image, dict[str, float | str] | None]:
    """The loaded picture as RGB, and the window that was applied."""
    import numpy as np
    from PIL import Image as Pillow

    if image.mode in _DEEP_GREY or (image.mode == "L" and chosen is not None):
        values = np.asarray(image)
        if chosen is not None:
            window, applied = chosen.window, chosen.window.as_dict(source="explicit", preset=chosen.preset)
        else:
            window = percentile_window(values)
            applied = window.as_dict(source="percentile")
        grey = window.apply(values)
        if image.mode in _DEEP_GREY and getattr(image, "tag_v2", {}).get(262) == 0:
            grey = 255 - grey  # TIFF 6.0 WhiteIsZero; Pillow inverts it for 8 bits and less only
        return grey_to_rgb(grey), applied
    if chosen is not None:
        raise ImageError(path, f"is a {image.mode} picture: an intensity window is for grey values only; leave it out")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        background = Pillow.new("RGBA", rgba.size, (*ALPHA_BACKGROUND, 255))
        return Pillow.alpha_composite(background, rgba).convert("RGB"), None
    if image.mode == "LAB":
        from PIL import ImageCms

        to_srgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        converted = ImageCms.applyTransform(image, to_srgb)
        assert converted is not None  # only in-place transforms return None
        return converted, None
    return image.convert("RGB"), None
