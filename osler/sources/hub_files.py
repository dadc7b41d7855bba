"""Files of a data set on the Hugging Face Hub, at a fixed revision, and the archives among them unpacked.

Nothing is downloaded unless asked: `fetch` is the only function of Osler that reaches for data sets there. The client
is `huggingface_hub`, so that its settings for mirrors, proxies and tokens hold, and a broken download resumes.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from osler.errors import SourceError
from osler.packages import is_offline

_COMMIT = re.compile("[0-9a-f]{40}")
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".json", ".jsonl", ".csv", ".txt"})


class HubFiles(NamedTuple):
    """What of a data set is needed.

    Args:
        repository: `owner/name`.
        revision: commit whose layout the reader was written for, or a branch where none is known.
        patterns: files, with `*`.
        size: in words.
        archives: ZIP files among them, which are unpacked where they lie.
    """

    repository: str
    revision: str
    patterns: tuple[str, ...]
    size: str
    archives: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Public home."""
        return f"https://huggingface.co/datasets/{self.repository}"


def fetch(
    files: HubFiles, folder: Path, *, revision: str = "", say: Callable[[str], None] | None = None, endpoint: str = ""
) -> str:
    """Download into a folder; what is there already is not fetched again.

    A branch is looked up first, so that all files are of one commit, and it is known which.

    Args:
        files: which.
        folder: where they go.
        revision: another than the one that is known to fit.
        say: is told in one line what is being downloaded.
        endpoint: of the Hub, instead of the one that `huggingface_hub` is set to.

    Returns:
        The commit.

    Raises:
        SourceError: offline, unreachable, not there, or a damaged archive.
    """
    if is_offline():
        raise SourceError(f"{files.url}: OSLER_OFFLINE is set; unset it, or name a copy with from=FOLDER")
    from huggingface_hub import HfApi, snapshot_download

    if say is not None:
        say(f"downloading {files.url} ({files.size})")
    commit = revision or files.revision
    try:
        if not _COMMIT.fullmatch(commit):
            commit = str(HfApi(endpoint=endpoint or None).dataset_info(files.repository, revision=commit).sha)
        snapshot_download(
            files.repository,
            repo_type="dataset",
            revision=commit,
            allow_patterns=list(files.patterns),
            local_dir=folder,
            endpoint=endpoint or None,
        )
    except Exception as error:  # the client raises errors of its own, of httpx and of the system
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{files.url}: cannot be downloaded: {reason}; or name a copy with from=FOLDER") from error
    for archive in files.archives:
        if (folder / archive).is_file():
            unpack(folder / archive, folder)
    return commit


def unpack(archive: Path, folder: Path) -> int:
    """Unpack pictures and texts of a ZIP file; members that leave the folder, links and other kinds of file are not.

    Returns:
        How many files were written; those that are there with the same size are left.

    Raises:
        SourceError: when the archive is damaged.
    """
    written = 0
    try:
        with zipfile.ZipFile(archive) as zipped:
            for member in zipped.infolist():
                path = PurePosixPath(member.filename)
                link = stat.S_ISLNK(member.external_attr >> 16)
                hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
                if member.is_dir() or link or hidden or path.is_absolute() or path.suffix.lower() not in _SUFFIXES:
                    continue
                target = folder.joinpath(*path.parts)
                if target.is_file() and target.stat().st_size == member.file_size:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
                written += 1
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise SourceError(f"{archive}: cannot be unpacked ({error}); delete it and try again") from error
    return written
