"""`vqa-rad`: record files from a downloaded copy of VQA-RAD."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

from osler.errors import SourceError
from osler.record_files import write_records
from osler.sources import vqa_rad
from osler.sources.base import Fetched, Say, check_options


class VqaRadSource:
    """Clinicians' questions on MedPix images (see `osler.sources.vqa_rad`)."""

    name = vqa_rad.NAME
    title = "VQA-RAD"
    licence = vqa_rad.LICENCE
    url = vqa_rad.HOME
    description = (
        "2,248 clinicians' questions on 314 radiology images. Download the folder from its public home first, then "
        "give it as from=FOLDER."
    )
    options: ClassVar[Mapping[str, str]] = {
        "from": f"folder that holds {vqa_rad.JSON_NAME!r} and the image folder (default: the folder itself)",
        "convention": f"{' or '.join(get_args(vqa_rad.Convention))} (default image-disjoint: no test picture is a "
        "training picture, which the official split does not ensure)",
    }

    def get(self, folder: Path, *, say: Say | None = None, **options: Any) -> Fetched:
        """Write `train.jsonl`, `dev.jsonl` and `test.jsonl`, and copy the images if they lie elsewhere."""
        check_options(self, options)
        origin = Path(options.get("from") or folder)
        convention: vqa_rad.Convention = options.get("convention") or "image-disjoint"
        if not (origin / vqa_rad.JSON_NAME).is_file():
            raise SourceError(
                f"{origin}: has no {vqa_rad.JSON_NAME!r}; download it and the image folder from {vqa_rad.HOME} "
                "and name the folder with from=FOLDER"
            )
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
        if convention == "official":
            remark += " 202 of its 203 test images are training images too: say so with every score."
        return Fetched(folder, files, remarks=(remark,))

    def state(self) -> str:
        """Needs a download by hand."""
        return "needs a folder downloaded by hand"
