"""`dicom-regions`: contours (RTSTRUCT) and segmentations (SEG) on DICOM series become boxes on their slices.

A folder is searched for pictures and for both kinds of files that mark them. One record comes out for each slice and
marking file; its picture is the DICOM file itself. No identifier enters a record: patient and study are pseudonyms, the
name of a structure or a path that holds the patient's number or name is set aside.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import SourceError
from osler.images.dicom_header import quiet
from osler.mask_boxes import MIN_BOX_PIXELS, mask_boxes
from osler.record_ids import pseudonym
from osler.sources.box_records import BoxRecords, Mark
from osler.sources.box_source import BoxSource, Layout, choice, number
from osler.sources.dicom_masks import Fault, SliceMask, rtstruct_masks, seg_masks
from osler.sources.dicom_series import Folder, Slice, read_folder, read_header


class DicomRegionsSource(BoxSource):
    """RTSTRUCT and SEG with the pictures that they mark."""

    name = "dicom-regions"
    title = "DICOM contours and segmentations"
    licence = "of your data"
    url = "https://dicom.nema.org/medical/dicom/current/output/html/part03.html"
    layout: Layout = "verified"
    description = (
        "Slices of DICOM series with boxes of the connected parts of RTSTRUCT contours and SEG segments, which must "
        "lie on the grid of their pictures. Patient and study become pseudonyms."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "folder of DICOM files, searched with all folders in it",
        "structures": "comma list of names of structures to keep (default: all)",
        "smallest": f"parts with fewer pixels are left out (default {MIN_BOX_PIXELS})",
        "paths": "refuse (default): set aside pictures whose path names the patient; keep: take them",
        "salt_file": "file with a secret of at least 16 bytes, so that subject keys stay the same between exports",
        "source": "name of the data set for the provenance (default: dicom-regions)",
        "licence": "of the data, for the provenance",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """Records of all marked slices."""
        keep_paths = choice(options, "paths", ("refuse", "keep")) == "keep"
        smallest = int(number(options, "smallest", MIN_BOX_PIXELS))
        wanted = {text.strip() for text in str(options.get("structures") or "").split(",") if text.strip()}
        salt = _salt(options)
        out = BoxRecords(home, options.get("source") or self.name, options.get("licence") or "unstated", "")
        folder = read_folder(home, out)
        if not folder.structures:
            raise SourceError(f"{home}: holds no RTSTRUCT or SEG file ({len(folder.slices)} DICOM pictures)")
        left: Counter[str] = Counter()
        for path in folder.structures:
            _add(out, path, folder, wanted, smallest, keep_paths, salt, left)
        remarks = [
            f"{len(folder.slices)} pictures, {len(folder.structures)} marking files, {folder.others} other files."
        ]
        if left:
            remarks.append(
                "Structures left out: " + ", ".join(f"{name} ({n})" for name, n in left.most_common(10)) + "."
            )
        return out, remarks


def _add(
    out: BoxRecords,
    path: Path,
    folder: Folder,
    wanted: set[str],
    smallest: int,
    keep_paths: bool,
    salt: bytes,
    left: Counter[str],
) -> None:
    """Records of one marking file."""
    try:
        ds = read_header(path, pixels=True)
        kind = str(ds.Modality)
        with quiet():
            found = list(rtstruct_masks(ds, folder) if kind == "RTSTRUCT" else seg_masks(ds, folder))
    except Exception as error:  # pydicom and its decoders raise anything, and their messages may quote the file
        out.set_aside(path, 1, None, f"is damaged or no valid RTSTRUCT or SEG ({type(error).__name__})")
        return
    slices: dict[str, tuple[Slice, list[Mark], int]] = {}
    for item in found:
        if isinstance(item, Fault):
            out.set_aside(path, item.position, item.field, item.reason)
            continue
        if wanted and item.label not in wanted:
            left[item.label] += 1
            continue
        place, marks, lost = slices.setdefault(item.place.path, (item.place, [], 0))
        made = _marks(item, smallest)
        if isinstance(made, Fault):
            out.set_aside(path, made.position, made.field, made.reason)
            slices[place.path] = place, marks, lost + 1
        else:
            marks += made
    key = path.relative_to(out.images).as_posix()
    for place, marks, lost in slices.values():
        if not keep_paths and place.patient.is_named_in(place.path):
            out.set_aside(path, 1, "path", "a picture's path names the patient: rename the file, or give paths=keep")
            continue
        out.add(
            place.path,
            marks,
            file=path,
            line=1,
            lost=lost,
            key=(key,),
            subject=pseudonym(place.patient.number, salt=salt) if place.patient.number else None,
            study=pseudonym(place.study, salt=salt) if place.study else None,
            tags={"regions": "partial", "structure": kind, **({"modality": place.modality} if place.modality else {})},
        )


def _marks(item: SliceMask, smallest: int) -> list[Mark] | Fault:
    """Boxes of a mask, or why there are none."""
    if item.place.patient.is_named_in(item.label):
        return Fault(item.position, "label", "a structure's name names the patient: rename it")
    boxes = mask_boxes(item.mask, smallest=smallest)
    if not boxes:
        return Fault(item.position, "mask", f"{item.label!r} has no part of at least {smallest} pixels on a slice")
    return [Mark(item.position, item.label, box.xyxy()) for box in boxes]


def _salt(options: Mapping[str, Any]) -> bytes:
    if not options.get("salt_file"):
        return secrets.token_bytes(32)
    try:
        return Path(options["salt_file"]).read_bytes().strip()
    except OSError as error:
        raise SourceError(f"salt_file={options['salt_file']}: cannot be read ({error.strerror})") from error
