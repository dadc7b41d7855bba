"""From marks to scores, and to what is known about the judge itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from osler.evaluation import statistics
from osler.evaluation.judge.forms import HIGHEST, LOWEST

Marks = tuple[float, float]
"""Of the reference and of the candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All marks of one item.

    Args:
        item: id.
        cluster: what intervals resample by.
        groups: values by which scores are given too, by name.
        marks: one list for each order (reference first, candidate first), of one entry for each repetition; None where
            the judge's answer holds no marks or the call failed.
        unanswered: the model gave no answer, so nothing was judged: scores 0.
    """

    item: str
    cluster: Hashable
    groups: dict[str, str]
    marks: tuple[tuple[Marks | None, ...], ...] = ()
    unanswered: bool = False

    @property
    def judged(self) -> bool:
        """Whether the judge gave all marks that it was asked for."""
        return bool(self.marks) and all(entry is not None for order in self.marks for entry in order)

    def known(self) -> list[Marks]:
        """Marks of all orders and repetitions."""
        return [entry for order in self.marks for entry in order if entry is not None]


def value(verdict: Verdict) -> float:
    """Mean mark of the candidate, 1 to 10 mapped to 0 to 1; 0 without an answer or without all marks."""
    if not verdict.judged:
        return 0.0
    return fmean((candidate - LOWEST) / (HIGHEST - LOWEST) for _, candidate in verdict.known())


def relative(verdict: Verdict) -> float:
    """Mean of candidate mark / reference mark; may exceed 1; 0 without an answer or without all marks."""
    return fmean(candidate / reference for reference, candidate in verdict.known()) if verdict.judged else 0.0


def summarise(verdicts: Sequence[Verdict], *, seed: int = 0) -> dict[str, Any]:
    """Scores of one condition: every item counts, judged or not.

    Returns:
        `mean`, `low`, `high`, `n` of `value`; `relative_score` likewise (LLaVA-Med's score divided by 100: a mean of
        ratios); `denominator`, `failures` (items without all marks), `unanswered`; `by_group`; `judge`: what the two
        orders and the repetitions tell about the judge.
    """
    groups = sorted({(name, found) for verdict in verdicts for name, found in verdict.groups.items()})
    by_group: dict[str, dict[str, Any]] = {}
    for name, found in groups:
        own = [verdict for verdict in verdicts if verdict.groups.get(name) == found]
        by_group.setdefault(name, {})[found] = _scores(own, seed=seed)
    return {
        **_scores(verdicts, seed=seed),
        "denominator": len(verdicts),
        "failures": sum(not verdict.judged and not verdict.unanswered for verdict in verdicts),
        "unanswered": sum(verdict.unanswered for verdict in verdicts),
        "by_group": by_group,
        "reliability": reliability(verdicts),
    }


def reliability(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What two orders and repetitions say about the judge; null where they were not asked.

    Position bias is the mean of (mark of the answer shown first - mark of the answer shown second) over both orders of
    every item: 0 for a judge that does not mind places, whichever answer is better. Self-agreement is the share of
    items with the same verdict (candidate better, equal, worse) in both orders, and in all repetitions of an order.
    """
    both = [verdict for verdict in verdicts if verdict.judged and len(verdict.marks) == 2]
    repeated = [verdict for verdict in verdicts if verdict.judged and len(verdict.marks[0]) > 1]
    leans = []
    for verdict in both:
        reference_first, candidate_first = (_mean(order) for order in verdict.marks)
        leans.append((reference_first[0] - reference_first[1] + candidate_first[1] - candidate_first[0]) / 2)
    return {
        "items_in_both_orders": len(both),
        "position_bias": fmean(leans) if leans else None,
        "favours_first": fmean(lean > 0 for lean in leans) if leans else None,
        "favours_second": fmean(lean < 0 for lean in leans) if leans else None,
        "order_agreement": fmean(len({_verdict(_mean(order)) for order in verdict.marks}) == 1 for verdict in both)
        if both
        else None,
        "items_repeated": len(repeated),
        "repeat_agreement": fmean(
            all(len({_verdict(entry) for entry in order if entry}) == 1 for order in verdict.marks)
            for verdict in repeated
        )
        if repeated
        else None,
        "repeat_mark_difference": fmean(
            max(entry[1] for entry in order if entry) - min(entry[1] for entry in order if entry)
            for verdict in repeated
            for order in verdict.marks
        )
        if repeated
        else None,
    }


def _scores(verdicts: Sequence[Verdict], *, seed: int) -> dict[str, Any]:
    return {**_interval(verdicts, value, seed=seed), "relative_score": _interval(verdicts, relative, seed=seed)}


def _interval(verdicts: Sequence[Verdict], score: Callable[[Verdict], float], *, seed: int) -> dict[str, Any]:
    if not verdicts:
        return {"mean": None, "low": None, "high": None, "n": 0}
    clusters = [verdict.cluster for verdict in verdicts]
    found = statistics.interval([score(verdict) for verdict in verdicts], clusters=clusters, seed=seed)
    return {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}


def _mean(order: Sequence[Marks | None]) -> Marks:
    known = [entry for entry in order if entry is not None]
    return fmean(entry[0] for entry in known), fmean(entry[1] for entry in known)


def _verdict(marks: Marks) -> int:
    return (marks[1] > marks[0]) - (marks[1] < marks[0])
