"""Fetch VQA-RAD from its public home on OSF, checked against the published files.

Nothing is downloaded unless asked: `download` is the only function of Osler that reaches for this data set.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path, PurePosixPath

from osler.errors import SourceError
from osler.sources.vqa_rad import HOME, IMAGE_FOLDERS, JSON_NAME, JSON_SHA256

URL = "https://files.osf.io/v1/resources/89kps/providers/osfstorage/?zip="
"""OSF's archive of the whole project."""
IMAGES_SHA256 = "3715e2d48cca5dde4d2f49c545e8aedcb7c01707855c52643c1096a2770c7e2c"
"""sha256 over "name sha256-of-file" lines of the 315 images, sorted by name."""
_MAX_BYTES = 500_000_000  # the archive has about 20 MB; a wrong address must not fill a disk


def download(folder: str | Path, *, url: str = URL, timeout: float = 60.0) -> Path:
    """Download the archive, unpack the JSON file and the images, and check both.

    The folder appears only when everything fits; an interrupted download leaves nothing behind.

    Args:
        folder: to make; must not exist or be empty.
        url: of the archive.
        timeout: seconds without a byte.

    Returns:
        The folder, in the layout that `osler.sources.vqa_rad` reads.

    Raises:
        SourceError: unreachable, not an archive, without the expected files, or with other content.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise SourceError(f"{folder}: exists and is not empty; give another folder or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".vqa-rad-", dir=folder.parent) as work:
        archive, unpacked = Path(work) / "archive.zip", Path(work) / "vqa_rad"
        _fetch(url, archive, timeout=timeout)
        _unpack(archive, unpacked, url=url)
        verify(unpacked)
        if folder.exists():
            folder.rmdir()
        unpacked.rename(folder)
    return folder


def verify(folder: str | Path) -> None:
    """Compare a VQA-RAD folder with the published files.

    Raises:
        SourceError: when the JSON file or the images differ; names which.
    """
    folder = Path(folder)
    path = folder / JSON_NAME
    if not path.is_file():
        raise SourceError(f"{folder}: holds no {JSON_NAME!r}; the data set's home is {HOME}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != JSON_SHA256:
        raise SourceError(f"{path}: sha256 is {found}, published {JSON_SHA256}: the file was altered or is a newer one")
    images = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), folder / IMAGE_FOLDERS[0])
    digest = hashlib.sha256()
    files = sorted(images.glob("*.jpg"))
    for file in files:
        digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    if digest.hexdigest() != IMAGES_SHA256:
        raise SourceError(f"{images}: its {len(files)} images are not the 315 published ones; download again")


def _fetch(url: str, target: Path, *, timeout: float) -> None:
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response, target.open("wb") as file:
            size = 0
            while block := response.read(1 << 20):
                size += len(block)
                if size > _MAX_BYTES:
                    raise SourceError(f"{url}: sends more than {_MAX_BYTES} bytes; that is not VQA-RAD")
                file.write(block)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise SourceError(f"{url}: cannot be downloaded: {error}; the data set's home is {HOME}") from error


def _unpack(archive: Path, target: Path, *, url: str) -> None:
    """Take the JSON file and the images only, by their bare names, so that no member can leave the folder."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            (target / IMAGE_FOLDERS[0]).mkdir(parents=True)
            total = 0
            for member in zipped.infolist():
                path = PurePosixPath(member.filename)
                if member.is_dir() or path.name.startswith("."):
                    continue
                if path.name == JSON_NAME:
                    destination = target / JSON_NAME
                elif path.parent.name in IMAGE_FOLDERS and path.suffix.lower() == ".jpg":
                    destination = target / IMAGE_FOLDERS[0] / path.name
                else:
                    continue
                total += member.file_size
                if total > _MAX_BYTES:
                    raise SourceError(f"{url}: unpacks to more than {_MAX_BYTES} bytes; that is not VQA-RAD")
                with zipped.open(member) as source, destination.open("wb") as file:
                    shutil.copyfileobj(source, file)
    except zipfile.BadZipFile as error:
        raise SourceError(f"{url}: did not send a ZIP archive ({error}); the data set's home is {HOME}") from error
