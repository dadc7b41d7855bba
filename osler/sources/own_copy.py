"""`OwnCopySource`: public data sets that are read from the user's own copy, or fetched when that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import SourceError
from osler.sources.base import Fetched, Say, check_options
from osler.sources.box_source import Layout, choice
from osler.sources.hub_files import HubFiles, fetch
from osler.sources.question_records import QuestionRecords


class OwnCopySource:
    """A question data set in its published layout.

    Attributes:
        layout: how far the reading is checked, as for `BoxSource`.
        revision: of the published files that the reader was written for.
        access: who may get them, and how, in plain words.
        hub: where they can be fetched from, if anywhere.
        wanted: what `present` looks for, in words.
    """

    name: str
    title: str
    licence: str
    url: str
    description: str
    layout: Layout
    revision: str = ""
    access: str
    hub: ClassVar[HubFiles | None] = None
    wanted: str
    options: ClassVar[Mapping[str, str]]

    def present(self, home: Path) -> bool:
        """Whether a folder holds the published files."""
        raise NotImplementedError

    def read(self, home: Path, folder: Path, options: Mapping[str, Any]) -> tuple[QuestionRecords, Sequence[str]]:
        """Records, and remarks.

        Args:
            home: folder with the published files.
            folder: that the record files will go to, for pictures that have to be taken out of other files.
            options: checked against `options`.

        Raises:
            SourceError, RecordError: data absent or not of this layout.
        """
        raise NotImplementedError

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Write record files and `rows.rejects.jsonl`."""
        check_options(self, options)
        home, commit = Path(options.get("from") or folder), ""
        if not self.present(home):
            if self.hub is None or choice(options, "download", ("no", "yes")) == "no":
                raise SourceError(self.missing(home))
            commit = fetch(self.hub, home, revision=str(options.get("revision") or ""), say=say)
            if not self.present(home):
                raise SourceError(self.missing(home))
        if say is not None:
            say(f"reading {home}")
        out, remarks = self.read(home, folder, options)
        return out.write(folder, remarks=[*([f"Fetched at commit {commit}."] if commit else []), *remarks])

    def missing(self, home: Path) -> str:
        """What is not there, and how to get it."""
        way = "" if self.hub is None else f" Or let download=yes fetch {self.hub.size}."
        return (
            f"{home}: has no {self.wanted}. Home: {self.url}. Access: {self.access} Name a copy with from=FOLDER.{way}"
        )

    def state(self) -> str:
        """Needs the user's copy, or a download that is asked for."""
        ways = "from=FOLDER" if self.hub is None else "from=FOLDER or download=yes"
        return f"{ways}; layout {self.layout}"


def hub_options(files: HubFiles) -> dict[str, str]:
    """The options of a source that can be fetched."""
    return {
        "download": f"yes: fetch {files.size} from {files.url} where from= names no copy (default no)",
        "revision": f"of the Hub repository (default {files.revision[:10]})",
    }
