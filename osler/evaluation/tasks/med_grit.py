"""`med-grit`: the four tasks of Med-GRIT-270k, by modality."""

from __future__ import annotations

from osler.evaluation import protocols
from osler.evaluation.controls import Control
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.tasks.published import Published
from osler.records import Record
from osler.sources.med_grit import BOX_FORMAT

TASKS = {
    "vg": ("visual grounding", ("grounding-iou", "grounding-acc50", "grounding-dice")),
    "roc": ("referring object classification", ("strict-exact-match", "token-f1")),
    "rc": ("referring captioning", ("rouge-l",)),
    "mia": ("medical image analysis", ("bleu-4", "rouge-l", "meteor")),
}
"""Convention -> what it is, and our protocols beside those of ClinKD."""


class MedGrit(Published):
    """Med-GRIT-270k (Huang et al., MICCAI 2024) as ClinKD (arXiv 2502.05928) tests on it; the convention is the task.

    ClinKD's own metrics are the protocols `clinkd-<task>...`, means over modalities, which `modality` gives beside.
    """

    name = "med-grit"
    description = "Med-GRIT: grounding, referring classification and captioning, analysis, in eight modalities"
    conventions = tuple(TASKS)
    convention_tag = "task"
    groups = ("modality",)
    controls: tuple[Control, ...] = ("blank", "shuffled")
    max_new_tokens = 80
    strict = ()
    layout = "not verified"
    source = "med-grit"

    @property
    def protocols(self) -> tuple[str, ...]:  # type: ignore[override]
        """Of all four tasks."""
        return tuple(dict.fromkeys(name for convention in TASKS for name in self.protocols_of(convention)))

    def protocols_of(self, convention: str) -> tuple[str, ...]:
        """ClinKD's metrics of a task, and ours."""
        theirs = (name for name in protocols.names() if f"{name}-".startswith(f"clinkd-{convention}-"))
        return (*theirs, *TASKS[convention][1])

    def regions(self, record: Record) -> Regions | None:
        """True boxes of visual grounding."""
        image = record.images[0]
        if record.tags.get("task") != "vg" or not image.width or not image.height:
            return None
        return Regions(
            boxes=tuple(region.box for region in record.regions),
            labels=tuple(region.label for region in record.regions),
            width=image.width,
            height=image.height,
            box_format=BOX_FORMAT,
            asked="boxes",
        )


TASK = MedGrit()
