"""Radiology metrics that only their own packages compute: RadGraph, CheXbert, RadEval.

These packages fetch weights from a model hub, and some unpickle them. They are therefore used only where a user has
installed them and has set `OSLER_ALLOW_METRIC_DOWNLOADS=1`. None of them is part of Osler's extras, because their
pins on torch and transformers conflict with ours.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from osler.errors import EvaluationError
from osler.evaluation.report_metrics.installed import missing_package

ALLOW = "OSLER_ALLOW_METRIC_DOWNLOADS"
Pair = tuple[str, str]


def missing(module: str) -> str | None:
    """What is lacking for a metric of a package, or None."""
    lacking = missing_package(module)
    if lacking is not None:
        return lacking
    if os.environ.get(ALLOW) != "1":
        return f"package {module} fetches and unpickles weights from a model hub; set {ALLOW}=1 to allow that"
    return None


@cache
def _radgraph() -> Any:
    from radgraph import F1RadGraph

    return F1RadGraph(reward_level="partial")


@cache
def _chexbert() -> Any:
    from f1chexbert import F1CheXbert

    return F1CheXbert()


@cache
def _radeval(metric: str) -> Any:
    from radeval import RadEval

    return RadEval(metrics=[metric], per_sample=True, show_progress=False)


def _by_pair(pairs: Sequence[Pair], values: Sequence[Any], package: str) -> dict[Pair, Any]:
    if len(values) != len(pairs):
        raise EvaluationError(f"{package} gave {len(values)} scores for {len(pairs)} pairs: its version does not fit")
    return dict(zip(pairs, values, strict=True))


def radgraph(pairs: Sequence[Pair]) -> dict[Pair, float]:
    """RadGraph F1 with partial reward (Jain et al. 2021) of every pair of answer and reference."""
    answers, references = ([pair[side] for pair in pairs] for side in (0, 1))
    _, values, _, _ = _radgraph()(refs=references, hyps=answers)
    return _by_pair(pairs, [float(value) for value in values], "radgraph")


def chexbert(pairs: Sequence[Pair]) -> dict[str, list[int]]:
    """CheXbert's fourteen labels (1: present or possible) of every text, in the order of `chexbert_names`."""
    texts = dict.fromkeys(text for pair in pairs for text in pair)
    return {text: [int(value) for value in _chexbert().get_label(text.strip())] for text in texts if text.strip()}


def chexbert_names() -> tuple[str, ...]:
    """Names of CheXbert's labels, in its order."""
    return tuple(_chexbert().target_names)


def radeval(pairs: Sequence[Pair], metric: str) -> dict[Pair, float]:
    """One metric of RadEval (Xu et al., EMNLP 2025), by pair."""
    answers, references = ([pair[side] for pair in pairs] for side in (0, 1))
    found = _radeval(metric)(refs=references, hyps=answers)
    lists = [value for value in found.values() if isinstance(value, list)]
    if not lists:
        raise EvaluationError(f"radeval gave no score by sample for {metric!r}: {sorted(found)}")
    return _by_pair(pairs, [float(value) for value in lists[0]], "radeval")
