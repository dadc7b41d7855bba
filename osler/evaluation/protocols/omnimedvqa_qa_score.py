"""`omnimedvqa-qa-score`: the question-answering score of OmniMedVQA, as released."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol
from osler.evaluation.protocols.logra_med_nearest_option import score

PROTOCOL = Protocol(
    name="omnimedvqa-qa-score",
    version="1",
    description="The option most similar to the answer by difflib, as OmniMedVQA released it: letters match nothing, "
    "refusals become choices. Only its denominator differs: a failed item counts 0 here.",
    applies_to="any",
    function=score,
    needs_options=True,
)
