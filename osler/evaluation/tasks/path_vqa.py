"""`path-vqa`: PathVQA's test questions on pathology pictures."""

from __future__ import annotations

from osler.evaluation.tasks.published import Published


class PathVqa(Published):
    """PathVQA (He et al. 2020). Questions answered with yes or no are closed; `question_type` is the first word."""

    name = "path-vqa"
    description = "PathVQA: open and yes-or-no questions on pathology pictures (He et al. 2020)"
    conventions = ("deduplicated",)
    layout = "documented"
    source = "path-vqa"


TASK = PathVqa()
