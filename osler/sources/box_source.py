"""`BoxSource`: what the sources of boxes have in common on the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from osler.errors import SourceError
from osler.sources.base import Fetched, Say, check_options
from osler.sources.box_records import BoxRecords

Layout = Literal["verified", "documented", "not verified"]


class BoxSource:
    """A data set of boxes that is read from the user's own copy.

    Attributes:
        layout: "verified" on published files; "documented": by public descriptions and readers of the files, not on
            the files; "not verified": look at the boxes before you use them.
    """

    name: str
    title: str
    licence: str
    url: str
    description: str
    layout: Layout
    options: ClassVar[Mapping[str, str]]

    def read(self, home: Path, options: Mapping[str, Any]) -> tuple[BoxRecords, list[str]]:
        """Records, what was set aside, and remarks.

        Args:
            home: the file or folder named by from=.
            options: checked against `options`.

        Raises:
            SourceError: data absent or not of this layout.
        """
        raise NotImplementedError

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Write a record file for each split (`records.jsonl` without one) and `boxes.rejects.jsonl`."""
        check_options(self, options, required=("from",))
        home = existing(Path(options["from"]), f"want the {self.options['from']}")
        if say is not None:
            say(f"reading {home}")
        out, remarks = self.read(home, options)
        return out.write(folder, remarks=remarks)

    def state(self) -> str:
        """Needs the user's copy."""
        return f"reads your own copy: from=...; layout {self.layout}"


def image_folder(options: Mapping[str, str | None], default: Path) -> Path:
    """The folder named by images=, or the layout's own.

    Raises:
        SourceError: when it is no folder.
    """
    folder = Path(options.get("images") or default)
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such image folder; name it with images=FOLDER")
    return folder


def existing(path: Path, what: str) -> Path:
    """The path, if there is a file or folder.

    Raises:
        SourceError: when there is none; says what was looked for.
    """
    if not path.exists():
        raise SourceError(f"{path}: not there; {what}")
    return path


def choice(options: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    """An option as one of several words, the first of which is the default.

    Raises:
        SourceError: when it is none of them.
    """
    value = str(options.get(name) if options.get(name) is not None else known[0])
    if value not in known:
        raise SourceError(f"{name}={value!r}: want {' or '.join(known)}")
    return value


def number(options: Mapping[str, Any], name: str, default: float) -> float:
    """An option as a number from 0.

    Raises:
        SourceError: when it is none.
    """
    if options.get(name) in (None, ""):
        return default
    try:
        value = float(options[name])
    except ValueError:
        value = math.nan
    if not value >= 0 or math.isinf(value):
        raise SourceError(f"{name}={options[name]!r}: want a number from 0")
    return value
