"""Macro-F1 and balanced accuracy: what accuracy hides when classes are unequally common.

A class is a right answer that occurs. Its recall is the share of its items that were answered with it; its F1 is
2 · hits / (items of the class + times it was answered). Both scores are plain means over classes. An answer that is no
class (an option that is never right, a refusal) is a miss for its item's class and a false alarm for none, as in
scikit-learn's `f1_score(labels=classes, average="macro")`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osler.errors import EvaluationError
from osler.evaluation import statistics

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """A mean over classes with its percentile bootstrap interval.

    Args:
        mean: over classes.
        low: lower end.
        high: upper end.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """Scores over classes instead of items.

    Args:
        classes: number of different right answers.
        balanced_accuracy: mean recall of the classes.
        macro_f1: mean F1 of the classes.
    """

    classes: int
    balanced_accuracy: ClassScore
    macro_f1: ClassScore


def balanced_accuracy(gold: Sequence[Hashable], predicted: Sequence[Hashable]) -> float:
    """Mean over classes of the share of their items that were answered rightly.

    Args:
        gold: right class of each item.
        predicted: class answered, in the same order; None where there was no answer.

    Raises:
        EvaluationError: when there are no items or the lengths differ.
    """
    return float(_measures(_table(gold, predicted).sum(axis=0))[0])


def macro_f1(gold: Sequence[Hashable], predicted: Sequence[Hashable]) -> float:
    """Mean over classes of the F1 of answering with that class. Arguments and errors as `balanced_accuracy`."""
    return float(_measures(_table(gold, predicted).sum(axis=0))[1])


def class_scores(
    gold: Sequence[Hashable],
    predicted: Sequence[Hashable],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = statistics.LEVEL,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> ClassScores:
    """Both scores with percentile bootstrap intervals over whole clusters.

    In a resample the mean is over the classes that occur in it: a rare class may be absent, and its recall is then not
    defined. With few items of a class the interval is therefore wide, and it is centred a little off the mean.

    Args:
        gold: right class of each item.
        predicted: class answered; None where there was no answer.
        clusters: one key per item, normally the image; None makes each item its own cluster.
        level: nominal coverage.
        resamples: number of bootstrap samples.
        seed: makes the interval reproducible.

    Raises:
        EvaluationError: when there are no items or the lengths differ.
    """
    from scipy.sparse import csr_matrix

    table = _table(gold, predicted)
    keys: Sequence[Hashable] = clusters if clusters is not None else range(len(gold))
    if len(keys) != len(gold):
        raise EvaluationError(f"{len(gold)} items but {len(keys)} cluster keys; give one key per item")
    positions: dict[Hashable, int] = {}
    rows = [positions.setdefault(key, len(positions)) for key in keys]
    # clusters x items, sparse: nearly all items lie in one cluster only
    member = csr_matrix((np.ones(len(rows)), (rows, range(len(rows)))), shape=(len(positions), len(rows)))
    sums = member @ table.tocsr()
    classes = table.shape[1] // 3
    resampled = [
        _measures(np.asarray((sums.T @ drawn.T).T)) for drawn in statistics.draws(len(positions), resamples, seed)
    ]
    points = _measures(table.sum(axis=0))
    tail = (1.0 - level) / 2.0
    found = []
    for which in (0, 1):
        low, high = np.quantile(np.concatenate([values[which] for values in resampled]), [tail, 1.0 - tail])
        found.append(ClassScore(mean=float(points[which]), low=float(low), high=float(high)))
    return ClassScores(classes=classes, balanced_accuracy=found[0], macro_f1=found[1])


def _table(gold: Sequence[Hashable], predicted: Sequence[Hashable]) -> Any:
    """Sparse items x 3K table of ones: item is of class k; was rightly answered k; was answered k."""
    from scipy.sparse import coo_matrix

    if not gold:
        raise EvaluationError("no items: a mean over classes needs some")
    if len(gold) != len(predicted):
        raise EvaluationError(f"{len(gold)} right answers but {len(predicted)} predictions; give one per item")
    index: dict[Hashable, int] = {}
    for label in gold:
        index.setdefault(label, len(index))
    count = len(index)
    rows, columns = [], []
    for row, (right, answered) in enumerate(zip(gold, predicted, strict=True)):
        wanted = [index[right]]
        if answered is not None and answered in index:
            wanted.append(2 * count + index[answered])
        if answered == right:
            wanted.append(count + index[right])
        rows += [row] * len(wanted)
        columns += wanted
    return coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(gold), 3 * count))


def _measures(counts: Any) -> tuple[_Array, _Array]:
    """Balanced accuracy and macro-F1 of counts of shape (..., 3K): items, hits and answers by class."""
    items, hits, answers = np.split(np.asarray(counts, dtype=np.float64), 3, axis=-1)
    present = items > 0
    recall = np.where(present, hits / np.maximum(items, 1.0), 0.0)
    f1 = np.where(present, 2.0 * hits / np.maximum(items + answers, 1.0), 0.0)
    classes = present.sum(axis=-1)
    return np.squeeze(recall.sum(axis=-1) / classes), np.squeeze(f1.sum(axis=-1) / classes)
