"""Masks of slices from radiotherapy structure sets (PS3.3 A.19) and segmentations (PS3.3 A.51)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from osler.images.contours import contour_mask
from osler.images.dicom_header import functional_group, integer, numbers
from osler.images.files import DEFAULT_MAX_VOLUME_BYTES
from osler.sources.dicom_geometry import OFF_PLANE, plane_of
from osler.sources.dicom_series import Folder, Slice

HALF = 0.5  # fractional segments: a pixel belongs to one that fills half of it, or is as probable as not
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


class SliceMask(NamedTuple):
    """What one structure covers of one picture.

    Args:
        position: 1-based, of the structure in its file (or of the frame, for what went wrong with it).
        label: name of the structure.
        place: the picture.
        mask: shape (rows, columns).
    """

    position: int
    label: str
    place: Slice
    mask: NDArray[np.bool_]


class Fault(NamedTuple):
    """A contour or frame that makes no mask, and why."""

    position: int
    field: str
    reason: str


def rtstruct_masks(ds: Any, folder: Folder) -> Iterator[SliceMask | Fault]:
    """Contours filled slice by slice; contours of one structure on one slice are joined by exclusive or."""
    names = {integer(roi, "ROINumber"): str(roi.get("ROIName", "")) for roi in ds.get("StructureSetROISequence", [])}
    references = {
        integer(roi, "ROINumber"): str(roi.get("ReferencedFrameOfReferenceUID", ""))
        for roi in ds.get("StructureSetROISequence", [])
    }
    for position, roi in enumerate(ds.get("ROIContourSequence", []), start=1):
        number = integer(roi, "ReferencedROINumber")
        if not names.get(number, "").strip():
            yield Fault(position, "ROIName", "is empty or absent")
            continue
        outlines: dict[str, tuple[Slice, list[list[tuple[float, float]]]]] = {}
        for contour in roi.get("ContourSequence", []):
            placed = _place(contour, references[number], folder)
            if isinstance(placed, str):
                yield Fault(position, "ContourSequence", placed)
                continue
            place, corners = placed
            outlines.setdefault(place.path, (place, []))[1].append(corners)
        for place, contours in outlines.values():
            assert place.plane is not None
            mask = contour_mask(contours, place.plane.columns, place.plane.rows)
            yield SliceMask(position, names[number].strip(), place, mask)


def _place(contour: Any, reference: str, folder: Folder) -> tuple[Slice, list[tuple[float, float]]] | str:
    """The picture of a contour and its corners in pixels, or why there are none."""
    kind = str(contour.get("ContourGeometricType", ""))
    if kind not in CLOSED:
        return "a contour is a point or open line, which has no inside"
    values = numbers(contour, "ContourData")
    if len(values) % 3 or len(values) < 9:
        return f"a contour has {len(values)} coordinates; want three for each of at least three points"
    points = np.array(values).reshape(-1, 3)
    named = contour.get("ContourImageSequence")
    if named:
        place = folder.slices.get(str(named[0].get("ReferencedSOPInstanceUID", "")))
        if place is None:
            return "a contour belongs to a picture that is not in the folder"
    else:
        place = folder.at(points, reference, OFF_PLANE)
        if place is None:
            return f"a contour lies in no picture of its frame of reference, to {OFF_PLANE:g} mm"
    if place.plane is None or place.frames > 1:
        return "a contour's picture states no position, or has several frames, which is not read"
    if place.plane.distances(points).max() > OFF_PLANE:
        return f"a contour lies more than {OFF_PLANE:g} mm beside the picture that it names"
    return place, [(float(x), float(y)) for x, y in place.plane.to_pixels(points)]


def seg_masks(ds: Any, folder: Folder) -> Iterator[SliceMask | Fault]:
    """Frames of a binary or fractional segmentation, joined where one segment has several on a slice."""
    kind = str(ds.get("SegmentationType", ""))
    if kind not in ("BINARY", "FRACTIONAL"):
        yield Fault(1, "SegmentationType", "is neither BINARY nor FRACTIONAL, which are read")
        return
    frames = integer(ds, "NumberOfFrames") or 1
    if frames * int(ds.Rows) * int(ds.Columns) > DEFAULT_MAX_VOLUME_BYTES:
        yield Fault(1, "NumberOfFrames", f"{frames} frames need more than {DEFAULT_MAX_VOLUME_BYTES} bytes")
        return
    labels = {
        integer(item, "SegmentNumber"): str(item.get("SegmentLabel", "")) for item in ds.get("SegmentSequence", [])
    }
    values = np.asarray(ds.pixel_array).reshape(frames, int(ds.Rows), int(ds.Columns))
    least = HALF * (integer(ds, "MaximumFractionalValue") or 255) if kind == "FRACTIONAL" else 1
    joined: dict[tuple[int, str], SliceMask] = {}
    for frame in range(frames):
        found = _frame(ds, frame, labels, folder)
        if isinstance(found, str):
            yield Fault(frame + 1, "PerFrameFunctionalGroupsSequence", found)
            continue
        number, place = found
        mask = values[frame] >= least
        key = number, place.path
        if key in joined:
            mask = mask | joined[key].mask
        joined[key] = SliceMask(number, labels[number].strip(), place, mask)
    yield from (item for item in joined.values() if item.mask.any())


def _frame(ds: Any, frame: int, labels: Mapping[int | None, str], folder: Folder) -> tuple[int, Slice] | str:
    """Segment number and picture of a frame, or why there are none."""
    segment = functional_group(ds, frame, "SegmentIdentificationSequence")
    number = None if segment is None else integer(segment, "ReferencedSegmentNumber")
    if number is None or not labels.get(number, "").strip():
        return "a frame names no segment with a label"
    plane = plane_of(ds, frame)
    derivation = functional_group(ds, frame, "DerivationImageSequence")
    sources = derivation.get("SourceImageSequence") if derivation is not None else None
    if sources:
        place = folder.slices.get(str(sources[0].get("ReferencedSOPInstanceUID", "")))
        if place is None:
            return "a frame is of a picture that is not in the folder"
    elif plane is not None:
        place = folder.at(plane.corners(), str(ds.get("FrameOfReferenceUID", "")), OFF_PLANE)
        if place is None:
            return f"a frame lies in no picture of its frame of reference, to {OFF_PLANE:g} mm"
    else:
        return "a frame names no picture and states no position"
    if place.plane is None or place.frames > 1:
        return "a frame's picture states no position, or has several frames, which is not read"
    same = (int(ds.Columns), int(ds.Rows)) == (place.plane.columns, place.plane.rows)
    if not same or (plane is not None and not place.plane.same_grid(plane)):
        return "a frame has another grid than its picture (resampled, turned or cut), which is not read"
    return number, place
