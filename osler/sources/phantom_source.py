"""`phantom`: procedural studies as a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import SourceError
from osler.sources.base import Fetched, Say, check_options


class PhantomSource:
    """Drawn pictures with exact ground truth (see `osler.sources.phantom`)."""

    name = "phantom"
    title = "procedural radiology-like studies with exact ground truth"
    licence = "CC0-1.0"
    url = ""
    description = (
        "Grey pictures drawn by Osler, with conversations, longer paraphrases, questions and exact boxes; held-out "
        "combinations of finding and place, and held-out wordings. For studying methods; nothing in it is a patient."
    )
    options: ClassVar[Mapping[str, str]] = {
        "size": "tiny (40 pictures), study (5,306, the default) or large (23,812)",
        "seed": "fixes every byte (default 0)",
        "pixels": "side of the pictures, 48 to 128 (default 64)",
        "workers": "processes that draw (default 1); the result does not depend on it",
    }

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Draw and write the set; see `osler.sources.phantom.build`."""
        from osler.sources import phantom

        check_options(self, options)
        numbers = {"seed": 0, "pixels": 64, "workers": 1}
        for name in numbers:
            try:
                numbers[name] = int(options.get(name, numbers[name]))
            except ValueError:
                raise SourceError(f"{name}={options[name]!r} is no whole number") from None
        summary = phantom.build(folder, size=options.get("size", "study"), say=say, **numbers)
        remarks = (
            "Pictures and texts are made by rules: scores on them say nothing about medicine.",
            "Left and right are sides of the picture.",
        )
        return Fetched(summary.folder, summary.records, remarks=remarks)

    def state(self) -> str:
        """Needs nothing."""
        return "ready: drawn on the spot"
