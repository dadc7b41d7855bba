"""`vqa-rad`: the VQA-RAD test questions, by the official, the image-disjoint or the deduplicated split."""

from __future__ import annotations

from pathlib import Path

from osler.evaluation.tasks.base import Task
from osler.records import Record
from osler.sources import vqa_rad
from osler.sources.vqa_rad_hub import load_written


class VqaRad(Task):
    """VQA-RAD (Lau et al. 2018).

    `data` is the folder that `osler.sources.vqa_rad` reads (the layout of OSF), or one that `osler data get vqa-rad`
    wrote, from either layout; that one has been split by one convention, which has to be the one asked for.
    """

    name = "vqa-rad"
    version = "1"
    description = "VQA-RAD: clinicians' questions on radiology images (Lau et al. 2018), question as asked"
    protocols = (
        "llava-med-open-recall",
        "llava-med-closed",
        "llava-med-exact-match",
        "closed-whole-word",
        "yes-no",
        "strict-exact-match",
        "token-f1",
    )
    conventions = ("official", "image-disjoint", "deduplicated")
    groups = ("organ",)
    layout = "verified"
    source = vqa_rad.NAME

    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Records of one split ("train", "dev", "test")."""
        if not (data / vqa_rad.JSON_NAME).is_file():
            return load_written(data, split, convention)
        return vqa_rad.load(data, split=split, convention=convention)  # type: ignore[arg-type]


TASK = VqaRad()
