"""`vqa-rad`: the VQA-RAD test questions, by the official or the image-disjoint split."""

from __future__ import annotations

from pathlib import Path

from osler.evaluation.tasks.base import Task
from osler.records import Record
from osler.sources import vqa_rad


class VqaRad(Task):
    """VQA-RAD (Lau et al. 2018). `data` is the folder that `osler.sources.vqa_rad` reads."""

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
    conventions = ("official", "image-disjoint")

    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Records of one split ("train", "dev", "test")."""
        return vqa_rad.load(data, split=split, convention=convention)  # type: ignore[arg-type]


TASK = VqaRad()
