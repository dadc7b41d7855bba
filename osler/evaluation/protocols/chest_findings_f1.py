"""`chest-findings-f1`: whether answer and reference state the same findings of a chest radiograph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osler.evaluation.findings import FINDINGS, NO_FINDING, label
from osler.evaluation.findings.labeller import Status
from osler.evaluation.findings.vocabulary import FIVE
from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.protocols.report_text import refuses

_PARTS = ("hit", "false", "missed")


def score(answer: str, reference: str) -> Score:
    """F1 of the two sets of findings, 1 where neither side states any and the answer was understood.

    The reference may be a report or a list of CheXpert names. Findings called possible count as stated (as in the F1 of
    CheXbert); "No Finding" is the empty set within an item, and a class of its own in what is pooled.
    """
    refusal = refuses(answer)
    of_answer = {} if refusal else label(answer)
    return counted(_names(of_answer), _names(label(reference)), parsed=bool(of_answer), refusal=refusal)


def _names(labels: Mapping[str, Status]) -> frozenset[str]:
    return frozenset(name for name, status in labels.items() if status is not Status.NEGATIVE)


def counted(ours: frozenset[str], theirs: frozenset[str], *, parsed: bool, refusal: bool) -> Score:
    """Score of two sets of names out of `FINDINGS`, with counts by finding.

    Args:
        ours: of the answer; may hold "No Finding".
        theirs: of the reference.
        parsed: whether anything was understood of the answer.
        refusal: whether it declines.
    """
    stated, wanted = ours - {NO_FINDING}, theirs - {NO_FINDING}
    value = 2 * len(stated & wanted) / (len(stated) + len(wanted)) if stated or wanted else 1.0
    counts: dict[str, float] = {}
    for name in FINDINGS:
        here, there = name in ours, name in theirs
        counts |= {
            f"hit {name}": float(here and there),
            f"false {name}": float(here and not there),
            f"missed {name}": float(there and not here),
        }
    return Score(value=value if parsed else 0.0, parsed=parsed, refusal=refusal, counts=counts)


def pooled_f1(sums: Mapping[str, Any]) -> dict[str, Any]:
    """F1 of every finding, micro and macro over all fourteen and over CheXpert's five, of summed counts."""
    import numpy as np

    def f1(names: tuple[str, ...]) -> Any:
        hit, false, missed = (sum(sums[f"{part} {name}"] for name in names) for part in _PARTS)
        return 2 * hit / (2 * hit + false + missed)

    found: dict[str, Any] = {f"f1 {name}": f1((name,)) for name in FINDINGS}
    for kind, names in (("14", FINDINGS), ("5", FIVE)):
        found[f"micro-f1-{kind}"] = f1(names)
        # a finding that neither side ever states counts 0, as in scikit-learn
        found[f"macro-f1-{kind}"] = np.mean([np.nan_to_num(found[f"f1 {name}"]) for name in names], axis=0)
    return found


PROTOCOL = Protocol(
    name="chest-findings-f1",
    version="1",
    description="F1 of chest findings stated (CheXpert's fourteen names, our rule labeller, possible counts as "
    "stated); pooled micro and macro over 14 and 5.",
    applies_to="any",
    function=score,
    pooled=pooled_f1,
)
