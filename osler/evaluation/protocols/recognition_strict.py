"""`recognition-strict`: the answer names the true classes and no other."""

from __future__ import annotations

from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.class_names import joined, recognise
from osler.evaluation.protocols.regions import Regions
from osler.evaluation.protocols.stated_boxes import asks_classes


def score(answer: str, reference: str, options: tuple[str, ...], regions: Regions) -> Score:
    """1 when the set of classes named is the set of true ones; where none is true, when none is named.

    The options are the vocabulary. How the paper of UMed-LVLM matches free text to a class is not known to us.
    """
    named, settled = recognise(answer, options, regions)
    if settled is not None:
        return settled
    return Score(value=float(set(named) == set(regions.names)), choice=joined(named))


PROTOCOL = Protocol(
    name="recognition-strict",
    version="1",
    description="The answer names exactly the true classes of the known ones (whole words, VQA normalisation).",
    applies_to="any",
    function=score,
    needs_options=True,
    needs_regions=True,
    accepts_regions=asks_classes,
)
