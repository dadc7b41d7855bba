"""`report-generation`: reports of chest X-rays and captions of radiology figures."""

from __future__ import annotations

import re

from osler.evaluation.controls import Control
from osler.evaluation.tasks.published import Published
from osler.records import Record

_DROPPED = re.compile(r'[.!"()*#:;~]')


class ReportGeneration(Published):
    """IU X-ray, ROCO, ImageCLEFmedical's captions or MIMIC-CXR; the convention says which, and how references are read.

    Findings are looked for in the reports of chest X-rays only. Under `imageclef` references are in lower case without
    the characters `.!"()*#:;~`, the clean-up of MLLM-MRG (arXiv 2306.05642); answers are scored as they are.
    """

    name = "report-generation"
    description = "Reports and captions: IU X-ray, ROCO, ImageCLEF, MIMIC-CXR"
    protocols = ("bleu-4", "rouge-l", "meteor", "cider", "chest-findings-f1", "chair")
    further = ("bertscore", "radgraph-f1", "llm-judge")
    conventions = ("iu-xray", "roco", "imageclef", "mimic-cxr")
    convention_tag = "dataset"
    groups = ("modality",)
    controls: tuple[Control, ...] = ("blank", "shuffled", "majority")
    max_new_tokens = 256
    layout = "documented"
    source = "iu-xray"

    def protocols_of(self, convention: str) -> tuple[str, ...]:
        """Findings only where they are those of chest X-rays."""
        chest = convention in ("iu-xray", "mimic-cxr")
        return self.protocols if chest else ("bleu-4", "rouge-l", "meteor", "cider")

    def source_of(self, convention: str) -> str:
        """By convention: ImageCLEF's files are read by the source of ROCO."""
        return {"iu-xray": "iu-xray", "mimic-cxr": "mimic-reports"}.get(convention, "roco")

    def reference(self, record: Record) -> str:
        """The report or caption; cleaned for ImageCLEF."""
        text = super().reference(record)
        if record.tags.get("dataset") != "imageclef":
            return text
        return " ".join(_DROPPED.sub(" ", text.lower()).split())


TASK = ReportGeneration()
