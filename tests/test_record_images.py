"""Image paths stay in their folder; image files are what the record says."""

from __future__ import annotations

import hashlib

import pytest
from PIL import Image

from osler.errors import ImageError, RecordError
from osler.record_images import check_images, image_size, resolve_image
from osler.records import ImageRef, Record


def record(id: str, path: str, box_size=None, **image) -> Record:
    regions = []
    if box_size:
        regions = [{"box": {"xyxy": [1, 1, box_size[0], box_size[1]], "size": list(box_size)}, "label": "mass"}]
    turns = [{"role": "user", "text": "<image>"}]
    return Record.model_validate({"id": id, "images": [{"path": path, **image}], "turns": turns, "regions": regions})


@pytest.mark.parametrize("path", ["a.png", "sub/a.png", "./a.png", "sub/../a.png", "..a.png", "a..png"])
def test_paths_inside_the_folder(tmp_path, path):
    (tmp_path / "sub").mkdir()
    resolved = resolve_image(tmp_path, path).resolve()
    assert resolved.is_relative_to(tmp_path.resolve())
    assert resolve_image(str(tmp_path), ImageRef(path=path)).resolve() == resolved


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../a.png", "climbs out"),
        ("sub/../../a.png", "climbs out"),
        ("..\\a.png", "climbs out"),
        ("sub\\..\\..\\a.png", "climbs out"),
        ("/etc/hostname", "absolute"),
        ("C:\\a.png", "absolute"),
        ("https://example.org/a.png", "address"),
        ("file:///etc/hostname", "address"),
        ("a\0.png", "null"),
    ],
)
def test_paths_that_leave_the_folder_are_refused(tmp_path, path, reason):
    with pytest.raises(RecordError, match=reason):
        resolve_image(tmp_path, path)


def test_climbing_through_a_link_is_refused_but_a_link_itself_is_the_owners(tmp_path):
    folder, archive = tmp_path / "images", tmp_path / "archive" / "deep"
    folder.mkdir()
    archive.mkdir(parents=True)
    (folder / "link").symlink_to(archive)
    assert resolve_image(folder, "link/a.png") == folder / "link" / "a.png"
    with pytest.raises(RecordError, match="climbs out"):
        resolve_image(folder, "link/../a.png")  # the system would open archive/a.png


def test_absolute_paths_on_request(tmp_path):
    inside, outside = tmp_path / "images" / "a.png", tmp_path / "other" / "a.png"
    assert resolve_image(tmp_path / "images", str(inside)) == inside
    assert resolve_image(tmp_path / "images", str(outside), allow_absolute=True) == outside
    with pytest.raises(RecordError, match="climbs out"):
        resolve_image(tmp_path / "images", str(tmp_path / "images" / ".." / "a.png"), allow_absolute=True)


def test_all_problems_are_reported_with_ids(tmp_path):
    Image.new("RGB", (100, 80)).save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes(b"not an image")
    digest = hashlib.sha256((tmp_path / "good.png").read_bytes()).hexdigest()
    records = [
        record("fine", "good.png", (100, 80), width=100, height=80, sha256=digest),
        record("lost", "lost.png"),
        record("broken", "broken.png"),
        record("out", "../good.png"),
        record("size", "good.png", width=80, height=100),
        record("box", "good.png", (200, 160)),
        record("scaled", "good.png", (50, 40)),
        record("hash", "good.png", sha256="0" * 64),
    ]
    report = check_images(records, tmp_path, hashes=True)
    assert [(problem.record_id, problem.kind) for problem in report.problems] == [
        ("lost", "missing"),
        ("broken", "unreadable"),
        ("out", "refused"),
        ("size", "wrong_size"),
        ("box", "box_outside"),
        ("scaled", "box_outside"),
        ("hash", "wrong_hash"),
    ]
    assert (report.records, report.files) == (8, 3)
    assert "record says 80 x 100, file is 100 x 80" in report.problems[3].detail
    assert "reaches outside: made for 200 x 160, file is 100 x 80" in report.problems[4].detail
    with pytest.raises(RecordError, match=r"7 problems with images:\nlost: image 0 \(lost\.png\): missing"):
        report.raise_for_problems()
    check_images(records[:1], tmp_path, hashes=True).raise_for_problems()


def test_each_file_is_opened_once_by_the_given_reader(tmp_path):
    (tmp_path / "scan.dcm").write_bytes(b"DICM")
    opened = []

    def size_of(path):
        opened.append(path)
        return 512, 512

    records = [record(f"r{number}", "scan.dcm", width=512, height=512, frame=number) for number in range(5)]
    assert check_images(records, tmp_path, size_of=size_of).problems == ()
    assert opened == [tmp_path / "scan.dcm"]


def test_orientation_turns_the_size(tmp_path):
    image = Image.new("L", (100, 80))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert image_size(tmp_path / "turned.jpg") == (80, 100)
    with pytest.raises(ImageError, match=r"turned\.txt"):
        image_size(tmp_path / "turned.txt")


def test_real_images(shared_data):
    folder = shared_data / "bccd" / "BCCD" / "JPEGImages"
    files = sorted(folder.glob("*.jpg"))[:20]
    records = [record(file.stem, file.name, (640, 480), width=640, height=480) for file in files]
    report = check_images(records, folder)
    assert (report.files, report.problems) == (20, ())
