"""Write a file wholly or not at all.

The bytes go to a temporary file in the same folder, which replaces the target in one step at the end. A full disk, a
crash or an interrupt leaves the old file as it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from osler.errors import OslerError

_REMEDIES = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file size limit of this account or file system is reached",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "you may not write there; choose another folder",
    errno.EPERM: "you may not write there; choose another folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "a folder has that name",
}


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; the file appears only when the block ends without an error.

    Missing folders are made. A symbolic link is followed, so that the link stays and its target is replaced. An
    existing file keeps its permissions.

    Raises:
        OslerError: when the operating system refuses (disk full, no permission ...); the old file is intact.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())  # before the rename, or a power cut could leave an empty file under the name
        if target.exists():
            os.chmod(temporary, target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "check the path")
        kept = "; the old file is unchanged" if target.is_file() else ""
        raise OslerError(f"{path}: cannot be written: {error.strerror or error}: {remedy}{kept}") from error
    finally:
        with contextlib.suppress(OSError):  # after success the name is gone; after a failure this is best effort
            temporary.unlink()
