"""Every test file of pydicom and pydicom-data: what becomes of it stands in `dicom_files.json`.

After a deliberate change, write the table anew with `python -m tests.images.test_dicom_files` and read its diff.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from osler.errors import ImageError
from osler.images import load_image

TABLE = Path(__file__).with_name("dicom_files.json")
CLASSES = {
    "no pixel data": "holds no pixel data",
    "segmentation": "Segmentation object",
    "dose": "RT Dose object",
    "truncated": "truncated or its header is wrong",
    "codestream differs": "compressed frame has",
    "no image module": "which an image must have",
    "not a picture": "no picture that can be read",
}


def outcome(path: Path) -> list[object]:
    """["ok", width, height, frames, source of the window, mean of the picture] or ["refused", class]."""
    try:
        loaded = load_image(path, max_side=256)
    except ImageError as error:
        return ["refused", next((name for name, words in CLASSES.items() if words in error.reason), error.reason)]
    info = loaded.info
    source = (info.window or {}).get("source")
    return ["ok", info.width, info.height, info.frames, source, round(float(np.asarray(loaded.image).mean()))]


def named(folder: Path, prefix: str) -> dict[str, Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    return {f"{prefix}/{path.relative_to(folder).as_posix()}": path for path in files}


def compare(found: dict[str, list[object]], prefix: str) -> None:
    wanted = {name: row for name, row in json.loads(TABLE.read_text()).items() if name.startswith(prefix + "/")}
    # files that a newer pydicom adds are listed, not failed; files that it drops are
    changed = {}
    for name in wanted:
        new, old = found.get(name), wanted[name]
        close = new is not None and new[:5] == old[:5] and len(new) == len(old)
        if close and new[0] == "ok":
            close = abs(new[5] - old[5]) <= 2  # decoders of lossy streams round differently
        if not close:
            changed[name] = (old, new)
    assert not changed


def test_files_of_pydicom(pydicom_files):
    compare({name: outcome(path) for name, path in named(pydicom_files, "pydicom").items()}, "pydicom")


def test_files_of_pydicom_data(pydicom_data):
    found = {name: outcome(path) for name, path in named(pydicom_data, "pydicom-data").items()}
    assert len(found) == 68
    compare(found, "pydicom-data")


def test_frames_agree_with_gdcm(pydicom_data, pydicom_files):
    """Stored values of compressed grey files, decoded by another library from the whole file."""
    gdcm = pytest.importorskip("gdcm")
    from osler.images.dicom_header import open_header, quiet
    from osler.images.dicom_pixels import check_layout, decode_frame

    names = [
        "693_J2KR.dcm",
        "JPEG-LL.dcm",
        "JPGLosslessP14SV1_1s_1f_8b.dcm",
        "emri_small_jpeg_ls_lossless.dcm",
        "emri_small_RLE.dcm",
    ]
    paths = [pydicom_data / name for name in names]
    paths += [
        pydicom_files / name
        for name in ("MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPGExtended.dcm")
    ]
    for path in paths:
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read(), path
        raw = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
        with quiet(), open_header(path, bare=False) as header:
            layout = check_layout(path, header, max_pixels=None)
            number = layout.frames - 1
            values = decode_frame(path, header, layout, number).values
        reference = np.frombuffer(raw, values.dtype).reshape(-1, layout.rows, layout.columns)[number]
        assert np.array_equal(values, reference), path


def test_12_bit_jpeg_has_the_published_values(pydicom_files):
    """Two pixels that pydicom's own tests state for this file."""
    from osler.images.dicom_header import open_header, quiet
    from osler.images.dicom_pixels import check_layout, decode_frame

    path = pydicom_files / "JPGExtended.dcm"
    with quiet(), open_header(path, bare=False) as header:
        values = decode_frame(path, header, check_layout(path, header, max_pixels=None), 0).values
    assert (values[420, 140], values[230, 120]) == (244, 95)


def test_colour_bars_look_alike_in_every_encoding(pydicom_data, pydicom_files):
    """One picture of ten colour bars in 30 encodings: RGB, YBR, planar, 8 to 32 bits, big endian, RLE, JPEG."""
    wanted = np.asarray(load_image(pydicom_data / "SC_rgb.dcm").image).astype(int)
    assert wanted[5, 50].tolist() == [255, 0, 0]
    names = sorted(pydicom_data.glob("SC_*.dcm")) + [
        path for path in sorted(pydicom_files.glob("SC_*.dcm"))
        if not re.search("small_odd|jpeg_no_color|rgb_jpeg.dcm|jpeg_dcmd|app14|jpeg_lossy", path.name)
    ]  # fmt: skip
    assert len(names) >= 30
    for path in names:
        found = np.asarray(load_image(path).image).astype(int)
        assert found.shape == wanted.shape, path.name
        middle = found[5::10, 50] - wanted[5::10, 50]  # middle of each bar: chroma subsampling blurs their edges
        assert np.abs(middle).max() <= 6, path.name


@pytest.mark.parametrize("study", ["RG1", "RG3", "US1", "693", "MR2"])
def test_jpeg_2000_equals_its_uncompressed_twin(pydicom_data, pydicom_files, study):
    """NEMA's samples: R was compressed reversibly, I irreversibly; UNC is what the reference decoder made of it."""

    def picture(kind):
        name = f"{study}_{kind}.dcm"
        folder = pydicom_data if (pydicom_data / name).is_file() else pydicom_files
        return np.asarray(load_image(folder / name).image).astype(int)

    assert np.array_equal(picture("J2KR"), picture("UNCR"))
    difference = np.abs(picture("J2KI") - picture("UNCI"))
    assert difference.max() <= 2
    assert difference.mean() < 0.1


def test_documentation_lists_what_is_refused():
    """docs/images.md counts the outcomes of this table."""
    rows = json.loads(TABLE.read_text())
    text = (Path(__file__).resolve().parents[2] / "docs" / "images.md").read_text()
    counts: dict[str, int] = {}
    for row in rows.values():
        counts[row[0] if row[0] == "ok" else row[1]] = counts.get(row[0] if row[0] == "ok" else row[1], 0) + 1
    for name, count in counts.items():
        assert f"| {name} | {count} |" in text, (name, count)


if __name__ == "__main__":
    import pydicom

    folders = {
        "pydicom": Path(pydicom.__file__).parent / "data" / "test_files",
        "pydicom-data": Path(__file__).resolve().parents[2] / ".osler" / "test-cache" / "pydicom-data",
    }
    rows = {name: outcome(path) for prefix, folder in folders.items() for name, path in named(folder, prefix).items()}
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    TABLE.write_text("{\n" + lines + "\n}\n")
