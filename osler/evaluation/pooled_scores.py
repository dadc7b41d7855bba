"""Scores of a whole corpus that are no mean of its items: BLEU, F1 over all findings, a mean over modalities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from osler.evaluation import statistics
from osler.evaluation.protocols.base import Groups, Protocol

if TYPE_CHECKING:
    from osler.evaluation.scores import Scored

_Array = npt.NDArray[np.float64]
_Pooling = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def pooled_summary(protocol: Protocol, scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """`pooled` and, where the protocol names groups that the items have, `macro`; nothing for other protocols.

    Args:
        protocol: that scored.
        scored: items in its denominator.
        seed: of the bootstrap; whole images are resampled, as everywhere.
    """
    if protocol.pooled is None or not scored:
        return {}
    sums, drawn = _sums(scored, np.ones((len(scored), 1), dtype=bool), seed=seed)
    parts: dict[str, Any] = {"pooled": _values(protocol.pooled, sums[:, 0], drawn[:, 0], _names(scored))}
    groups = protocol.groups
    if groups is not None and any(entry.item.tags.get(groups.tag) in groups.values for entry in scored):
        parts["macro"] = {"tag": groups.tag, **_macro(protocol.pooled, groups, scored, seed=seed)}
    return parts


def _names(scored: Sequence[Scored]) -> list[str]:
    return sorted({name for entry in scored for name in entry.score.counts})


def _sums(scored: Sequence[Scored], member: npt.NDArray[np.bool_], *, seed: int) -> tuple[_Array, _Array]:
    """Sums of every count within every group: of all items, shape (1, groups, counts), and of every resample.

    Args:
        scored: n items.
        member: of shape (n, groups).
        seed: of the bootstrap.
    """
    names = _names(scored)
    counts = np.array([[entry.score.counts.get(name, 0.0) for name in names] for entry in scored])
    grouped = (member[:, :, None] * counts[:, None, :]).reshape(len(scored), -1)
    positions: dict[str, int] = {}
    rows = [positions.setdefault(entry.item.cluster, len(positions)) for entry in scored]
    clustered = np.zeros((len(positions), grouped.shape[1]))
    np.add.at(clustered, rows, grouped)
    drawn = np.concatenate(
        [weights @ clustered for weights in statistics.draws(len(positions), statistics.RESAMPLES, seed)]
    )
    shape = (-1, member.shape[1], len(names))
    return grouped.sum(axis=0).reshape(shape), drawn.reshape(shape)


def _apply(pooling: _Pooling, sums: _Array, names: Sequence[str]) -> dict[str, _Array]:
    """Pooled scores of sums whose last axis is the counts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = pooling({name: sums[..., number] for number, name in enumerate(names)})
    return {name: np.asarray(value, dtype=np.float64) for name, value in found.items()}


def _entry(value: float, resampled: _Array) -> dict[str, float] | None:
    if np.isnan(value):
        return None
    # resamples in which the score is not defined (nothing of the kind was drawn) are left out
    low, high = statistics.ends(resampled[~np.isnan(resampled)])
    return {"mean": float(value), "low": low, "high": high}


def _values(pooling: _Pooling, sums: _Array, drawn: _Array, names: Sequence[str]) -> dict[str, Any]:
    values, resampled = _apply(pooling, sums, names), _apply(pooling, drawn, names)
    return {name: _entry(values[name][0], resampled[name]) for name in values}


def _macro(pooling: _Pooling, groups: Groups, scored: Sequence[Scored], *, seed: int) -> dict[str, Any]:
    """Plain mean over the groups' pooled scores; a group without items, or whose score is not defined, counts 0."""
    member = np.array([[entry.item.tags.get(groups.tag) == value for value in groups.values] for entry in scored])
    sums, drawn = _sums(scored, member, seed=seed)
    names = _names(scored)
    values, resampled = _apply(pooling, sums, names), _apply(pooling, drawn, names)
    return {
        "groups": [value for number, value in enumerate(groups.values) if member[:, number].any()],
        **{
            name: _entry(float(np.nan_to_num(values[name][0]).mean()), np.nan_to_num(resampled[name]).mean(axis=1))
            for name in values
        },
    }
