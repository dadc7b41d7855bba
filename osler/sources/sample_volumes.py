"""Sample set: slices and reformats of the CT and MR volumes of pyradiomics and pycerr, with expert tumour masks.

Orientation: axial and coronal pictures are shown in the radiological convention (the patient's right is at the left
edge of the picture, anterior respectively superior is up); sagittal ones have anterior at the left edge.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from osler.errors import SourceError
from osler.images.contours import contour_mask
from osler.mask_boxes import mask_boxes
from osler.packages import fetch, members, read_members
from osler.sources.sample_pictures import (
    Picture,
    Say,
    spread,
    stretch,
    windowed,
)

# whole volumes lie in one split; both lungs and both sides of tumours occur in training and in test
SPLITS = {
    "lung1": "train",
    "pat_1": "train",
    "pat_3": "train",
    "brain1": "train",
    "pat_2": "dev",
    "lung2": "test",
    "pat_4": "test",
    "brain2": "test",
}
# the pycerr volumes are crops around one lung; which one follows from the x coordinates (patient left is positive)
LUNG_SHARE = 0.15
DETAIL = 40.0  # mm
MIN_LUNG = 1500.0  # square mm; a cross-section of the trachea has about 300


@dataclass(frozen=True)
class Volume:
    """A scan in patient axes.

    Args:
        name: of the volume.
        values: slices x rows x columns; slice 0 is inferior, row 0 anterior, column 0 at the patient's right.
        mask: same shape, true inside the expert's tumour contour.
        spacing: in mm along slices, rows, columns.
        centre_x: x of the volume's centre in mm, positive to the patient's left.
        package: that holds it.
        member: file inside the package.
        modality: "CT" or "MRI".
        organ: "lung" or "brain".
    """

    name: str
    values: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float, float]
    centre_x: float
    package: str
    member: str
    modality: str
    organ: str


def volumes(*, say: Say | None = None) -> Iterator[Volume]:
    """All volumes of the sample set.

    Raises:
        SourceError: a package cannot be fetched or its content is unexpected.
    """
    archive = fetch("pyradiomics", say=say)
    names = ("brain1", "brain2", "lung1", "lung2")
    files = {name: f"pyradiomics-3.0.1/data/{name}" for name in names}
    content = read_members(archive, [f"{stem}_{part}.nrrd" for stem in files.values() for part in ("image", "label")])
    for name, stem in files.items():
        values, header = _nrrd(content[f"{stem}_image.nrrd"])
        mask, _ = _nrrd(content[f"{stem}_label.nrrd"])
        yield _from_nrrd(name, values, mask, header, f"{stem}_image.nrrd")
    yield from _pycerr(say=say)


def pictures(
    *, say: Say | None = None, per_plane: int = 5, per_side: int = 12, per_detail: int = 24
) -> Iterator[Picture]:
    """Axial slices with and without tumour, single lungs, and reformats in three planes.

    Args:
        say: progress.
        per_plane: reformats for each volume, plane and window.
        per_side: single-lung pictures for each volume and side.
        per_detail: square details of the lung for each volume, with tumour, and as many without.

    Raises:
        SourceError: see `volumes`.
    """
    for volume in volumes(say=say):
        yield from _lesions(volume)
        yield from _planes(volume, per_plane)
        if volume.organ == "lung":
            yield from _lungs(volume, per_side)
            yield from _details(volume, per_detail)


def _lesions(volume: Volume) -> Iterator[Picture]:
    """Axial slices with the expert's contour, and as many without, at least two slices away from it."""
    area = volume.mask.sum(axis=(1, 2))
    inside = [k for k in range(len(area)) if mask_boxes(volume.mask[k])]
    away = [
        k
        for k in range(len(area))
        if not area[max(0, k - 2) : k + 3].any() and (volume.organ != "lung" or _has_lung(volume.values[k]))
    ]
    # whole slices are described, not asked about: with six chests nothing can be learnt from a whole slice
    for k in inside:
        yield _picture(volume, f"axial-{k:03d}", volume.values[k], "axial", "lung", k, tumour="yes", slice_mask=k)
    for k in spread(away, max(len(inside), 8)):
        yield _picture(volume, f"axial-{k:03d}", volume.values[k], "axial", "lung", k, tumour="no")


def _planes(volume: Volume, count: int) -> Iterator[Picture]:
    """Reformats on a square grid, linear between slices, from the middle three fifths of each axis."""
    from scipy import ndimage

    through, _, column = volume.spacing
    depth = max(2, round(volume.values.shape[0] * through / column))
    for axis, plane in enumerate(("axial", "coronal", "sagittal")):
        first, last = _extent(volume, axis)
        inset = (last - first) // 5
        for k in spread(list(range(first + inset, last - inset)), count):
            values = np.take(volume.values, k, axis=axis).astype(np.float32)
            if plane != "axial":
                values = ndimage.zoom(values, (depth / values.shape[0], 1.0), order=1)[::-1]  # superior up
            frame = k if axis == 0 else None
            yield _picture(volume, f"{plane}-{k:03d}-reformat", values, plane, "soft_tissue", frame)


def _details(volume: Volume, count: int) -> Iterator[Picture]:
    """Details of the lung, `DETAIL` mm wide: around the tumour, and elsewhere without any of its pixels."""
    rng = random.Random(volume.name)
    rows, columns = volume.values.shape[1:]
    size = min(rows, columns, round(DETAIL / volume.spacing[2]))

    def around(row: float, column: float) -> tuple[slice, slice]:
        top = int(min(max(row - size / 2, 0), rows - size))
        left = int(min(max(column - size / 2, 0), columns - size))
        return slice(top, top + size), slice(left, left + size)

    inside = [k for k in range(len(volume.mask)) if mask_boxes(volume.mask[k])]
    for number in range(count):
        k = inside[number * len(inside) // count]
        x1, y1, x2, y2 = mask_boxes(volume.mask[k])[0].xyxy()
        reach_x, reach_y = size / 5 + (x2 - x1) / 4, size / 5 + (y2 - y1) / 4
        for _ in range(60):  # tumour and lung must both be seen: inside a large tumour every detail is plain grey
            row, column = (y1 + y2) / 2 + rng.uniform(-reach_y, reach_y), (x1 + x2) / 2 + rng.uniform(-reach_x, reach_x)
            part = around(row, column)
            tumour, aerated = volume.mask[k][part].mean(), (volume.values[k][part] < -400).mean()
            if aerated > 0.15 and tumour > 0.01:
                yield _detail(volume, k, part, number, "yes")
                break
    slices = spread(list(range(len(volume.values))), count)
    candidates = [(k, row, column) for k in slices for row, column in _lung_points(volume, k, rng)]
    rng.shuffle(candidates)
    found = 0
    for k, row, column in candidates:
        part = around(row, column)
        aerated = float((volume.values[k][part] < -400).mean())
        if aerated <= 0.9 and not volume.mask[k][part].any():
            yield _detail(volume, k, part, count + found, "no")
            found += 1
            if found == count:
                return


def _lung_points(volume: Volume, k: int, rng: random.Random, count: int = 6) -> list[tuple[int, int]]:
    """Random pixels of aerated lung: dark regions that the body encloses, so neither outside air nor the couch.

    The top edge does not count: the crops of pycerr cut lungs there, and air above the chest reaches the sides too.
    """
    from scipy import ndimage

    labels, _ = ndimage.label(volume.values[k] < -400)
    border = np.unique(np.concatenate([labels[-1], labels[:, 0], labels[:, -1]]))
    areas = np.bincount(labels.ravel())
    areas[border] = 0
    enclosed = np.argwhere(areas[labels] * volume.spacing[1] * volume.spacing[2] > MIN_LUNG)
    if not len(enclosed):
        return []
    return [(int(row), int(column)) for row, column in (enclosed[rng.randrange(len(enclosed))] for _ in range(count))]


def _detail(volume: Volume, k: int, part: tuple[slice, slice], number: int, tumour: str) -> Picture:
    picture = _picture(volume, f"detail-{number:02d}", volume.values[k][part], "axial", "lung", k)
    return replace(
        picture,
        facts={**picture.facts, "organ": "lung", "tumour_ct": tumour},
        boxes=mask_boxes(volume.mask[k][part]),
        notes={**picture.notes, "detail_mm": DETAIL},
    )


def _extent(volume: Volume, axis: int) -> tuple[int, int]:
    """First and last index along an axis where at least 5% of the plane is tissue, not air."""
    threshold = -400.0 if volume.modality == "CT" else 0.1 * float(np.percentile(volume.values, 99))
    others = tuple(other for other in range(3) if other != axis)
    indices = np.flatnonzero((volume.values > threshold).mean(axis=others) > 0.05)
    return int(indices[0]), int(indices[-1]) + 1


def _lungs(volume: Volume, count: int) -> Iterator[Picture]:
    """Pictures of one lung: the crops of pycerr as they are, halves of the whole-chest slices."""
    slices = [k for k in range(len(volume.values)) if _has_lung(volume.values[k])]
    width = volume.values.shape[2]
    if volume.package == "pycerr":
        parts = {"left" if volume.centre_x > 0 else "right": (0, width)}
    else:
        parts = {"right": (width // 16, width // 2), "left": (width // 2, width - width // 16)}
    for side, (start, stop) in parts.items():
        usable = [k for k in slices if _has_lung(volume.values[k][:, start:stop])]
        for k in spread(usable, count):
            values = volume.values[k][:, start:stop]
            if volume.package != "pycerr":
                rows = np.flatnonzero((values > -400).mean(axis=1) > 0.1)
                values = values[rows[0] : rows[-1] + 1]
            yield _picture(volume, f"{side}-lung-{k:03d}", values, "axial", "lung", k, side=side)


def _has_lung(values: np.ndarray) -> bool:
    """Whether at least 15% of the pixels have the density of aerated lung (air outside the body is below -950 HU)."""
    return float(((values > -950) & (values < -600)).mean()) >= LUNG_SHARE


def _picture(
    volume: Volume,
    key: str,
    values: np.ndarray,
    plane: str,
    window: str,
    frame: int | None,
    *,
    tumour: str | None = None,
    side: str | None = None,
    slice_mask: int | None = None,
) -> Picture:
    facts = {"modality": volume.modality, "plane": plane}
    if volume.organ != "lung" or _has_lung(values):  # the scans reach into neck and belly
        facts["organ"] = volume.organ
    if tumour is not None and volume.modality == "CT":
        facts["tumour_slice"] = tumour
    if side is not None:
        facts["side"] = side
    if key.endswith("-reformat"):
        facts["reformat"] = "yes"
    boxes = mask_boxes(volume.mask[slice_mask]) if slice_mask is not None else ()
    if boxes:
        centre = boxes[0].xyxy()[0] + boxes[0].xyxy()[2]
        middle = float(values.shape[1])
        if volume.package == "pycerr":
            facts["tumour_side"] = "left" if volume.centre_x > 0 else "right"
        else:
            facts["tumour_side"] = "left" if centre > middle else "right"
    notes: dict[str, str | int | float | bool | None] = {"orientation": "radiological"}
    if volume.modality == "CT":
        pixels, window_notes = windowed(values, window)
        notes |= window_notes
    else:
        pixels = stretch(values)
        notes |= {"window": "0.5 to 99.5 percentile"}
    if plane != "axial":
        notes["reformatted"] = True
    return Picture(
        key=f"{volume.package}-{volume.name}-{key}".replace("_", ""),
        pixels=pixels,
        package=volume.package,
        member=volume.member,
        subject=f"{volume.package}/{volume.name}",
        split=SPLITS[volume.name],
        facts=facts,
        frame=frame,
        boxes=boxes,
        notes=notes,
    )


def _nrrd(content: bytes) -> tuple[np.ndarray, dict]:
    import nrrd

    stream = io.BytesIO(content)
    header = nrrd.read_header(stream)
    return nrrd.read_data(header, stream), header


def _from_nrrd(name: str, values: np.ndarray, mask: np.ndarray, header: dict, member: str) -> Volume:
    """Turn columns x rows x slices in left-posterior-superior space into our axes."""
    directions = np.asarray(header["space directions"], dtype=float)
    if header.get("space") != "left-posterior-superior" or np.count_nonzero(directions) != 3:
        raise SourceError(f"{member}: expected an unrotated volume in left-posterior-superior space")
    steps = np.diag(directions)
    values, mask = (np.transpose(array, (2, 1, 0)) for array in (values, mask > 0))
    for axis, step in ((2, steps[0]), (1, steps[1]), (0, steps[2])):
        if step < 0:
            values, mask = np.flip(values, axis), np.flip(mask, axis)
    centre_x = float(header["space origin"][0] + steps[0] * (values.shape[2] - 1) / 2)
    modality, organ = ("MRI", "brain") if name.startswith("brain") else ("CT", "lung")
    spacing = (abs(steps[2]), abs(steps[1]), abs(steps[0]))
    return Volume(name, values, mask, spacing, centre_x, "pyradiomics", member, modality, organ)


def _pycerr(*, say: Say | None = None) -> Iterator[Volume]:
    """The four lung-tumour CTs of the Radiomics Digital Phantom; masks from the contours of the ROI "GTV-1"."""
    import pydicom

    archive = fetch("pycerr", say=say)
    root = "cerr/datasets/radiomics_phantom_dicom"
    for number in range(1, 5):
        folder = f"{root}/pat_{number}"
        names = members(archive, rf"{folder}/.*\.dcm$")
        content = {name: pydicom.dcmread(io.BytesIO(data)) for name, data in read_members(archive, names).items()}
        slices = sorted(
            (item for item in content.values() if item.Modality == "CT"), key=lambda item: item.ImagePositionPatient[2]
        )
        structures = [item for item in content.values() if item.Modality == "RTSTRUCT"]
        upright = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]  # columns run to the patient's left, rows to the back
        if any(list(map(float, item.ImageOrientationPatient)) != upright for item in slices):
            raise SourceError(f"{archive}: {folder} is not in plain axial orientation")
        if not slices or len(structures) != 1:
            raise SourceError(f"{archive}: {folder} should hold CT slices and one RTSTRUCT")
        values = np.stack([item.pixel_array * item.RescaleSlope + item.RescaleIntercept for item in slices])
        heights = np.array([float(item.ImagePositionPatient[2]) for item in slices])
        left, top, _ = (float(value) for value in slices[0].ImagePositionPatient)
        row, column = (float(value) for value in slices[0].PixelSpacing)
        mask = np.zeros(values.shape, dtype=bool)
        rois = {roi.ROINumber: roi.ROIName for roi in structures[0].StructureSetROISequence}
        for contours in structures[0].ROIContourSequence:
            if rois[contours.ReferencedROINumber] != "GTV-1":
                continue
            for contour in contours.ContourSequence:
                points = np.asarray(contour.ContourData, dtype=float).reshape(-1, 3)
                k = int(np.abs(heights - points[0, 2]).argmin())
                # cut off, not rounded: the sample set was drawn so, and its boxes stay as they are
                corners = [(int((x - left) / column), int((y - top) / row)) for x, y, _ in points]
                mask[k] ^= contour_mask([corners], values.shape[2], values.shape[1])
        yield Volume(
            f"pat_{number}",
            values.astype(np.float32),
            mask,
            (float(heights[1] - heights[0]), row, column),
            left + column * (values.shape[2] - 1) / 2,
            "pycerr",
            folder,
            "CT",
            "lung",
        )
