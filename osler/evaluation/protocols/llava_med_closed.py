"""`llava-med-closed`: the substring test behind LLaVA-Med's "closed" column, with its leniency."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.vqa_text import normalise_released


def score(answer: str, reference: str) -> Score:
    """1 when the normalised reference is a substring of the normalised answer.

    "no" is inside "normal", "note" and "unknown"; "Yes, although no fracture ..." is right for both answers. Kept as it
    is, so that published numbers can be compared; `yes-no` and `closed-whole-word` are the strict ways.

    Source: released batch evaluator of LLaVA-Med v1.0, the one whose table the paper prints.
    """
    return Score(value=float(normalise_released(reference) in normalise_released(answer)))


PROTOCOL = Protocol(
    name="llava-med-closed",
    version="1",
    description='Substring test as LLaVA-Med released it: "no" is also found inside "normal".',
    applies_to="closed",
    function=score,
)
