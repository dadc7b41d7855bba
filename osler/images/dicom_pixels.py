"""One frame of a DICOM object, decoded: sizes are checked before a decoder runs, other frames are not touched."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osler.errors import ImageError
from osler.images.dicom_header import DicomHeader, integer
from osler.images.dicom_terms import NOT_PICTURES, photometric, uid_name

_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 92, 93, 201, 202, 203))
# decoders under permissive licences, safest first; a syntax that is not here uses what pydicom finds
_PLUGIN = {
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.57": "gdcm",
    "1.2.840.10008.1.2.4.70": "gdcm",
    **dict.fromkeys(_JPEG_LS, "pyjpegls"),
    **dict.fromkeys(_JPEG_2000, "pylibjpeg"),
    "1.2.840.10008.1.2.5": "pydicom",
}
_ITEMS = {"PixelData": None, "FloatPixelData": 32, "DoubleFloatPixelData": 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelLayout:
    """The checked image pixel module (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    planar: int
    photometric: str
    frames: int
    keyword: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A decoded frame.

    Args:
        values: stored values, shape (rows, columns) or (rows, columns, 3) as RGB.
        layout: of the object.
        bits: meaningful bits of a sample after decoding.
    """

    values: NDArray[Any]
    layout: PixelLayout
    bits: int


def check_layout(path: Path, header: DicomHeader, *, max_pixels: int | None) -> PixelLayout:
    """Check what the header claims against the standard, the limit and the size of the file.

    Raises:
        ImageError: when there is no picture, an element is absent or absurd, or the file is shorter than claimed.
    """
    ds = header.dataset
    sop_class = str(ds.get("SOPClassUID") or "")
    if sop_class in NOT_PICTURES:
        raise ImageError(path, f"is {NOT_PICTURES[sop_class]}")
    name = uid_name(sop_class, "")
    what = f"a DICOM object of class '{name}'" if name else "a DICOM data set of unknown class"
    rows, columns = integer(ds, "Rows"), integer(ds, "Columns")
    if header.pixel_keyword is None:
        if rows and columns:
            raise ImageError(path, f"is {what} that describes an image but is cut off before its pixel data")
        raise ImageError(path, f"is {what}, which holds no pixel data; name an image object")
    samples, allocated = integer(ds, "SamplesPerPixel"), integer(ds, "BitsAllocated")
    floating = _ITEMS[header.pixel_keyword]
    stored = floating or integer(ds, "BitsStored")
    signed = 0 if floating else integer(ds, "PixelRepresentation")
    allocated = floating or allocated
    needed: dict[str, int | str | None] = {
        "Rows": rows,
        "Columns": columns,
        "Samples per Pixel": samples,
        "Bits Allocated": allocated,
        "Bits Stored": stored,
        "Pixel Representation": signed,
        "Photometric Interpretation": photometric(ds),
    }
    absent = [key for key, value in needed.items() if value is None]
    if absent:
        raise ImageError(path, f"is {what} without a valid {' / '.join(absent)}, which an image must have")
    # checked just above, which mypy cannot follow through the mapping
    rows, columns, samples, allocated, stored, signed = (int(value or 0) for value in list(needed.values())[:6])
    if rows < 1 or columns < 1:
        raise ImageError(path, f"claims a size of {columns} x {rows} pixels")
    if max_pixels is not None and rows * columns > max_pixels:
        raise ImageError(
            path,
            f"claims {columns} x {rows} = {rows * columns:,} pixels a frame, more than the limit of {max_pixels:,}; "
            "raise max_pixels if that is right",
        )
    if samples not in (1, 3):
        raise ImageError(path, f"has {samples} samples a pixel: only 1 and 3 are pictures")
    if allocated not in (1, 8, 16, 32, 64) or not 1 <= stored <= allocated or signed not in (0, 1):
        raise ImageError(
            path, f"claims {stored} of {allocated} bits a sample, representation {signed}: not a valid combination"
        )
    layout = PixelLayout(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        signed=bool(signed),
        planar=integer(ds, "PlanarConfiguration") or 0,
        photometric=photometric(ds) or "",
        frames=max(1, integer(ds, "NumberOfFrames") or 1),
        keyword=header.pixel_keyword,
    )
    colour = layout.photometric not in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
    if colour != (samples == 3):
        raise ImageError(path, f"claims {samples} samples a pixel but is {layout.photometric}")
    if header.pixel_length is not None:
        _check_length(path, header, layout)
    return layout


def _check_length(path: Path, header: DicomHeader, layout: PixelLayout) -> None:
    """Native pixel data must be as long as the header says: a short file is a broken transfer or an attack."""
    bits = layout.rows * layout.columns * layout.samples * layout.bits_allocated * layout.frames
    if layout.photometric == "YBR_FULL_422":
        bits = bits * 2 // 3
    if _encapsulated(header.transfer_syntax):
        raise ImageError(path, "names a compressed transfer syntax but its pixel data are not encapsulated")
    there = min(header.available, header.pixel_length or 0)
    if ceil(bits / 8) > there:
        raise ImageError(
            path,
            f"claims {layout.frames} frame(s) of {layout.columns} x {layout.rows} = {ceil(bits / 8):,} bytes of pixel "
            f"data but holds {there:,}: it is truncated or its header is wrong",
        )


def _encapsulated(syntax: str) -> bool:
    from pydicom.uid import UID

    uid = UID(syntax)
    return bool(uid.is_transfer_syntax and uid.is_encapsulated)


def decode_frame(path: Path, header: DicomHeader, layout: PixelLayout, frame: int) -> Frame:
    """Decode one frame to stored values; colour comes out as RGB. Call inside `quiet`.

    Raises:
        ImageError: when the frame does not exist, the transfer syntax is not supported or the frame is damaged.
    """
    from pydicom.pixels import get_decoder

    if not 0 <= frame < layout.frames:
        raise ImageError(path, f"has no frame {frame}: it holds {layout.frames}, numbered from 0")
    syntax = header.transfer_syntax
    name = uid_name(syntax, "unknown to the standard")
    if any(word in name for word in ("MPEG", "HEVC")):
        raise ImageError(path, f"holds video ({name}), which is not read: extract its frames first")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise ImageError(path, f"has a transfer syntax that is not read ({name}): transcode it first") from None
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "photometric_interpretation": layout.photometric,
        "planar_configuration": layout.planar,
        "number_of_frames": layout.frames,
        "pixel_keyword": layout.keyword,
        "pixel_vr": header.pixel_vr,
        "allow_excess_frames": False,
    }
    if layout.keyword == "PixelData":
        options["pixel_representation"] = int(layout.signed)
    header.file.seek(header.pixel_offset)
    bits = layout.bits_stored
    if not _encapsulated(syntax):
        values, described = decoder.as_array(header.file, index=frame, **options)
    else:
        data = _frame_bytes(header, layout, frame)
        if syntax in _JPEG_LS and b"\xff\xd9" not in data[-16:]:
            # pyjpegls searches for seconds beyond the end of a stream that has no end marker
            raise ImageError(path, "holds a JPEG-LS frame without its end marker: it is truncated")
        _check_codestream(path, data, layout, jpeg_2000=syntax in _JPEG_2000)
        if syntax == _JPEG_EXTENDED and layout.bits_stored > 8:
            values, described = _gdcm_12_bit(data, layout), {"photometric_interpretation": layout.photometric}
        else:
            from pydicom.encaps import encapsulate

            plugin = _PLUGIN.get(syntax, "pillow" if syntax == _JPEG_EXTENDED else "")
            options["number_of_frames"] = 1
            values, described = decoder.as_array(encapsulate([data]), index=0, decoding_plugin=plugin, **options)
    if layout.samples == 3 and described.get("photometric_interpretation") != "RGB":
        raise ImageError(path, f"is coloured as {layout.photometric}, which cannot be turned into RGB")
    return Frame(values=values, layout=layout, bits=bits)


def _frame_bytes(header: DicomHeader, layout: PixelLayout, frame: int) -> bytes:
    """The encoded bytes of one frame; the others are skipped by their lengths or by the offset table."""
    from pydicom.encaps import get_frame

    offsets, lengths = header.dataset.get("ExtendedOffsetTable"), header.dataset.get("ExtendedOffsetTableLengths")
    extended = (offsets, lengths) if isinstance(offsets, bytes) and isinstance(lengths, bytes) else None
    return bytes(get_frame(header.file, frame, number_of_frames=layout.frames, extended_offsets=extended))


def _check_codestream(path: Path, data: bytes, layout: PixelLayout, *, jpeg_2000: bool) -> None:
    """The compressed picture must have the size and samples of the header: a decoder allocates what it claims."""
    found = _jpeg_2000_size(data) if jpeg_2000 else _jpeg_size(data)
    if found is None:
        return  # RLE has no sizes of its own
    wanted = (layout.columns, layout.rows, layout.samples)
    if found != wanted:
        raise ImageError(
            path,
            f"claims {wanted[0]} x {wanted[1]} pixels of {wanted[2]} sample(s) but its compressed frame has "
            f"{found[0]} x {found[1]} of {found[2]}",
        )


def _jpeg_2000_size(data: bytes) -> tuple[int, int, int] | None:
    """(width, height, components) from the SIZ segment (ISO/IEC 15444-1 A.5.1)."""
    start = data.find(b"\xff\x4f\xff\x51", 0, 4096)
    segment = data[start + 4 : start + 42]
    if start < 0 or len(segment) < 38:
        return (0, 0, 0)
    x1, y1, x0, y0 = (int.from_bytes(segment[k : k + 4], "big") for k in (4, 8, 12, 16))
    return x1 - x0, y1 - y0, int.from_bytes(segment[36:38], "big")


def _jpeg_size(data: bytes) -> tuple[int, int, int] | None:
    """(width, height, components) from the first start-of-frame marker (ITU-T T.81 B.2.2, T.87 C.2.2)."""
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return (0, 0, 0)
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            return int.from_bytes(data[at + 7 : at + 9], "big"), height, data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return (0, 0, 0)


def _gdcm_12_bit(data: bytes, layout: PixelLayout) -> NDArray[Any]:
    """12-bit JPEG Extended through GDCM, which decodes it although pydicom's plugin does not offer it."""
    import gdcm

    for trace in (gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff, gdcm.Trace.DebugOff):
        trace()
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((layout.columns, layout.rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(layout.photometric)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(_JPEG_EXTENDED)))
    stored = layout.bits_stored
    image.SetPixelFormat(gdcm.PixelFormat(layout.samples, 16, stored, stored - 1, int(layout.signed)))
    raw = image.GetBuffer().encode("utf-8", "surrogateescape")  # GDCM hands bytes over as text
    shape = (layout.rows, layout.columns) if layout.samples == 1 else (layout.rows, layout.columns, layout.samples)
    return np.frombuffer(raw, dtype=np.int16 if layout.signed else np.uint16).reshape(shape)
