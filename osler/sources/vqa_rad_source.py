"""`vqa-rad`: record files from VQA-RAD, downloaded or from a copy."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

from osler.errors import SourceError
from osler.packages import is_offline
from osler.record_files import write_records
from osler.sources import vqa_rad
from osler.sources.base import Fetched, Say, check_options
from osler.sources.box_source import choice
from osler.sources.own_copy import hub_options
from osler.sources.parquet_images import shards
from osler.sources.vqa_rad_download import download
from osler.sources.vqa_rad_hub import HUB, get_hub


class VqaRadSource:
    """Clinicians' questions on MedPix images (see `osler.sources.vqa_rad`)."""

    name = vqa_rad.NAME
    title = "VQA-RAD"
    licence = vqa_rad.LICENCE
    url = vqa_rad.HOME
    description = (
        "2,248 clinicians' questions on 314 radiology images. Downloaded from its public home (about 20 MB), or read "
        "from a copy: from=FOLDER. A copy may also be the parquet version of the Hub (2,244 questions, without their "
        "types), which layout=hub fetches."
    )
    access = "open; no account is needed."
    revision = f"OSF: sha256 of the questions {vqa_rad.JSON_SHA256[:10]}; Hub: {HUB.revision[:10]}"
    options: ClassVar[Mapping[str, str]] = {
        "from": f"folder that holds {vqa_rad.JSON_NAME!r} and the image folder, to use instead of downloading",
        "convention": f"{' or '.join(get_args(vqa_rad.Convention))} (default image-disjoint: no test picture is a "
        "training picture, which the official split does not ensure)",
        "layout": "osf or hub: which of the two to read and, without from=, to fetch (default: what is there, or osf)",
        "revision": hub_options(HUB)["revision"],
    }

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Write `train.jsonl`, `dev.jsonl` and `test.jsonl`, and copy the images if they lie elsewhere."""
        check_options(self, options)
        origin = Path(options.get("from") or folder)
        convention: vqa_rad.Convention = options.get("convention") or "image-disjoint"
        layout = choice(options, "layout", ("hub" if shards(origin, "test") else "osf", "osf", "hub"))
        if layout == "hub":
            return get_hub(origin, folder, convention, revision=str(options.get("revision") or ""), say=say)
        if not (origin / vqa_rad.JSON_NAME).is_file():
            if options.get("from") or is_offline():
                reason = "" if options.get("from") else " and OSLER_OFFLINE is set"
                raise SourceError(
                    f"{origin}: has no {vqa_rad.JSON_NAME!r}{reason}; its home is {vqa_rad.HOME}, name a copy with "
                    "from=FOLDER"
                )
            if say is not None:
                say(f"downloading VQA-RAD from {vqa_rad.HOME}")
            download(origin)
        files = {}
        splits: tuple[vqa_rad.Split, ...] = ("train", "dev", "test")
        records = {split: vqa_rad.load(origin, split=split, convention=convention) for split in splits}
        folder.mkdir(parents=True, exist_ok=True)
        if origin.resolve() != folder.resolve():
            images = vqa_rad.image_folder(origin)
            if say is not None:
                say(f"copying images from {images}")
            shutil.copytree(images, folder / images.name, dirs_exist_ok=True)
        for split, items in records.items():
            files[f"{split}.jsonl"] = write_records(items, folder / f"{split}.jsonl")
        remark = f"Split by the convention {convention!r}."
        if convention != "image-disjoint":
            remark += " 202 of its 203 test images are training images too: say so with every score."
        return Fetched(folder, files, remarks=(remark,))

    def state(self) -> str:
        """Where it comes from."""
        return "downloads 20 MB from OSF, or from=FOLDER"
