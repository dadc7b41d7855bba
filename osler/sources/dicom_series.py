"""A folder of DICOM files: which pictures are there, of whom, and where they lie. Pixels stay in the files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osler.errors import ImageError
from osler.images.dicom_header import integer, quiet
from osler.images.files import kind_of
from osler.sources.box_records import BoxRecords
from osler.sources.dicom_geometry import Plane, plane_of

STRUCTURES = ("RTSTRUCT", "SEG")


@dataclass(frozen=True, slots=True)
class Slice:
    """One picture of a series.

    Args:
        path: relative to the folder.
        plane: where it lies, if the file says so.
        frames: how many the file holds.
        reference: frame of reference UID.
        patient: identifiers of the patient; they stay in memory.
        study: study instance UID; likewise.
        modality: defined term.
    """

    path: str
    plane: Plane | None
    frames: int
    reference: str
    patient: Patient
    study: str
    modality: str | None


@dataclass(frozen=True, slots=True)
class Patient:
    """What must not be seen in a record.

    Args:
        number: PatientID.
        names: parts of the name.
    """

    number: str
    names: tuple[str, ...]

    def is_named_in(self, text: str) -> bool:
        """Whether a text holds the number, or a part of the name of three letters or more, as a word of its own."""
        words = [word for word in (self.number, *self.names) if len(word) >= 3]
        return any(re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text, re.IGNORECASE) for word in words)


@dataclass(slots=True)
class Folder:
    """The files of a folder.

    Args:
        slices: pictures by SOP instance UID.
        structures: files with contours or segments.
        others: how many files are no DICOM.
    """

    slices: dict[str, Slice] = field(default_factory=dict)
    structures: list[Path] = field(default_factory=list)
    others: int = 0

    def at(self, points: Any, reference: str, limit: float) -> Slice | None:
        """The picture of a frame of reference in whose plane points (n, 3) lie, to `limit` mm; the nearest one."""
        best: tuple[float, Slice] | None = None
        for item in self.slices.values():
            if item.plane is None or item.reference != reference:
                continue
            distance = float(item.plane.distances(points).max())
            if distance <= limit and (best is None or distance < best[0]):
                best = distance, item
        return None if best is None else best[1]


def read_folder(folder: Path, out: BoxRecords) -> Folder:
    """Index all files below a folder; damaged ones are set aside in `out`."""
    found = Folder()
    for path in _files(folder):
        try:
            if kind_of(path) not in ("dicom", "dicom-bare"):
                found.others += 1
                continue
        except ImageError:
            found.others += 1
            continue
        try:
            with quiet():
                _index(read_header(path), path, folder, found, out)
        except Exception as error:  # pydicom raises anything, and its messages may quote the file
            out.set_aside(path, 1, None, f"is damaged or no valid DICOM ({type(error).__name__} while reading it)")
    return found


def _index(ds: Any, path: Path, folder: Path, found: Folder, out: BoxRecords) -> None:
    uid, modality = str(ds.SOPInstanceUID), str(ds.get("Modality", ""))
    if modality in STRUCTURES:
        found.structures.append(path)
    elif uid in found.slices:
        out.set_aside(path, 1, "SOPInstanceUID", f"is the same picture as {found.slices[uid].path}")
    elif "Rows" in ds:
        found.slices[uid] = _slice(ds, path.relative_to(folder).as_posix())


def read_header(path: Path, *, pixels: bool = False) -> Any:
    """The data set of a file, without pixels unless asked for."""
    from pydicom import dcmread

    with quiet():
        return dcmread(path, stop_before_pixels=not pixels, force=True)


def patient_of(ds: Any) -> Patient:
    """The patient's identifiers in a data set."""
    name = str(ds.get("PatientName", "") or "")
    return Patient(
        str(ds.get("PatientID", "") or "").strip(), tuple(part for part in re.split(r"[\^=\s]+", name) if part)
    )


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _slice(ds: Any, path: str) -> Slice:
    from osler.images.dicom_terms import modality

    frames = integer(ds, "NumberOfFrames") or 1
    return Slice(
        path,
        plane_of(ds),
        frames,
        str(ds.get("FrameOfReferenceUID", "")),
        patient_of(ds),
        str(ds.get("StudyInstanceUID", "")),
        modality(ds),
    )
