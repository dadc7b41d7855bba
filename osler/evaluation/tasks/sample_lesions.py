"""`sample-lesions`: find the tumours of the sample set."""

from __future__ import annotations

from osler.evaluation.tasks.grounding import Grounding
from osler.records import Record


class SampleLesions(Grounding):
    """Brain and lung pictures of the sample set with tumour boxes. `data` is what `osler data get sample` wrote.

    A picture shows nothing when a question for a tumour is answered with no; pictures that nobody was asked about are
    not items. With one class, recognition says only whether something was seen.
    """

    name = "sample-lesions"
    description = "Sample set: boxes of tumours in CT and MR pictures"
    groups = ("dataset", "modality")

    def shows_nothing(self, record: Record) -> bool:
        """A question for a tumour whose answer is no."""
        asked = record.tags.get("question_type") in ("tumour_mr", "tumour_ct")
        return asked and record.answer.casefold().startswith("no")


TASK = SampleLesions()
