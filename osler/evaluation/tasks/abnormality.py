"""`abnormality`: records of abnormality instruction tuning as a benchmark, with and without the region given."""

from __future__ import annotations

from osler.evaluation.tasks.grounding import Grounding


class Abnormality(Grounding):
    """Any record file whose questions are about regions, of one or several data sets (tag `dataset`).

    Records with `question_type` "abnormality" ask for box and class, those with "region" give the box and ask for the
    class: recognition by data set under either is the layout of UMed-LVLM's table. Other records with regions become
    one question for each image.
    """

    name = "abnormality"
    description = "Abnormality records: boxes and classes, and classes with the region given, by data set"


TASK = Abnormality()
