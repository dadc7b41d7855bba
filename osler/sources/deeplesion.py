"""`deeplesion`: lesions on CT slices with boxes (Yan et al., Journal of Medical Imaging 5(3), 2018).

`DL_info.csv` has a row for each lesion; used are File_name (`000001_01_01_109.png`, kept as
`000001_01_01/109.png` below `Images_png`), Patient_index, Study_index, Bounding_boxes ("x1, y1, x2, y2" in pixels),
Coarse_lesion_type (1 bone, 2 abdomen, 3 mediastinum, 4 liver, 5 lung, 6 kidney, 7 soft tissue, 8 pelvis; -1 unlabelled:
all of the training part), Possibly_noisy, Image_size, DICOM_windows ("low, high" in HU) and Train_Val_Test (1, 2, 3).
The PNG files hold HU + 32768 in 16 bits, so a window in file units is moved by 32768.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from osler.errors import RecordError
from osler.record_ids import stable_id
from osler.sources.box_records import BoxRecords, Mark
from osler.sources.box_source import BoxSource, Layout, choice, image_folder
from osler.sources.csv_rows import finite, read_rows

SITES = {
    "1": "bone lesion",
    "2": "abdomen lesion",
    "3": "mediastinum lesion",
    "4": "liver lesion",
    "5": "lung lesion",
    "6": "kidney lesion",
    "7": "soft tissue lesion",
    "8": "pelvis lesion",
    "-1": "lesion",
}
SPLITS = {"1": "train", "2": "val", "3": "test"}
OFFSET = 32768
COLUMNS = (
    "File_name",
    "Patient_index",
    "Study_index",
    "Bounding_boxes",
    "Coarse_lesion_type",
    "Possibly_noisy",
    "Image_size",
    "DICOM_windows",
    "Train_Val_Test",
)


class _Row(NamedTuple):
    line: int
    mark: Mark
    stated: tuple[int, int]
    window: dict[str, float | str]
    cells: dict[str, str]


class DeepLesionSource(BoxSource):
    """Key slices with their lesions."""

    name = "deeplesion"
    title = "DeepLesion (CT)"
    licence = "free to use with attribution; see the publisher's terms"
    url = "https://nihcc.app.box.com/v/DeepLesion"
    layout: Layout = "documented"
    description = (
        "32,735 lesions on CT slices, with patient split and intensity window, from your copy. A box says where a "
        "lesion is and its label in which part of the body; lesions without a box are in the pictures too."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": "DL_info.csv",
        "images": "folder Images_png (default: beside the file)",
        "unlabelled": "keep: lesions without a site are labelled 'lesion' (default); drop: set them aside",
        "noisy": "keep rows marked Possibly_noisy: no (default: set aside) or yes",
    }

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """One record for each key slice, with all its lesions."""
        keep = choice(options, "unlabelled", ("keep", "drop")) == "keep"
        noisy = choice(options, "noisy", ("no", "yes")) == "yes"
        out = BoxRecords(image_folder(options, home.parent / "Images_png"), self.name, self.licence, self.url)
        slices: dict[str, list[_Row]] = {}
        first: dict[str, int] = {}
        lost: dict[str, int] = {}
        for line, cells in read_rows(home, COLUMNS):
            name = cells["File_name"]
            first.setdefault(name, line)
            try:
                row = _row(line, cells, keep=keep, noisy=noisy)
            except RecordError as error:
                out.set_aside(home, line, error.field, error.reason)
                lost[name] = lost.get(name, 0) + 1
                continue
            slices.setdefault(name, []).append(row)
        for name, rows in slices.items():
            cells, row = rows[0].cells, rows[0]
            folder, _, file = name.rpartition("_")
            out.add(
                f"{folder}/{file}",
                [item.mark for item in rows],
                file=home,
                line=first[name],
                lost=lost.get(name, 0),
                stated=row.stated,
                window=row.window,
                subject=stable_id(self.name, cells["Patient_index"]),
                study=stable_id(self.name, cells["Patient_index"], cells["Study_index"]),
                split=SPLITS[cells["Train_Val_Test"]],
                tags={"modality": "ct", "regions": "partial"},
            )
        return out, ["Window in units of the file (HU + 32768)."]


def _row(line: int, cells: dict[str, str], *, keep: bool, noisy: bool) -> _Row:
    site, split = cells["Coarse_lesion_type"], cells["Train_Val_Test"]
    if site not in SITES:
        raise RecordError(f"is {site!r}; want 1 to 8, or -1", field="Coarse_lesion_type")
    if site == "-1" and not keep:
        raise RecordError("is -1 (unlabelled), and unlabelled=drop", field="Coarse_lesion_type")
    if cells["Possibly_noisy"] not in ("", "0") and not noisy:
        raise RecordError("marked by the publisher; noisy=yes keeps it", field="Possibly_noisy")
    if split not in SPLITS:
        raise RecordError(f"is {split!r}; want 1, 2 or 3", field="Train_Val_Test")
    x1, y1, x2, y2 = _list(cells, "Bounding_boxes", 4)
    height, width = _list(cells, "Image_size", 2)
    low, high = _list(cells, "DICOM_windows", 2)
    if not low < high:
        raise RecordError(f"is {cells['DICOM_windows']!r}; want low, high", field="DICOM_windows")
    window: dict[str, float | str] = {"level": (low + high) / 2 + OFFSET, "width": high - low}
    return _Row(line, Mark(line, SITES[site], (x1, y1, x2, y2)), (int(width), int(height)), window, cells)


def _list(cells: Mapping[str, str], field: str, count: int) -> list[float]:
    values = [finite(text.strip(), field) for text in cells[field].split(",")]
    if len(values) != count:
        raise RecordError(f"has {len(values)} numbers, want {count}", field=field)
    return values
