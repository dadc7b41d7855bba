"""Tables of corpus scores: what a protocol gives for all items together, and as a mean over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def pooled_tables(name: str, real: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One table of `pooled` and, where it is there, one of `macro`, with a column for each evaluation.

    Args:
        name: of the protocol.
        real: label of an evaluation, and the protocol's entry under the real condition.
    """
    tables = []
    for part, by in (("pooled", "corpus score"), ("macro", "mean over groups")):
        # the boxes of `grounding-acc50` have a table of their own
        columns = [(label, entry.get(part) or {}) for label, entry in real]
        columns = [(label, found) for label, found in columns if found and "tp" not in found]
        scores = dict.fromkeys(score for _, found in columns for score in found if score not in ("tag", "groups"))
        if scores:
            rows = [[score, *(_cell(found.get(score)) for _, found in columns)] for score in scores]
            head = ["score", *(label or "all items" for label, _ in columns)]
            tables.append({"name": name, "by": by, "head": head, "rows": rows})
    return tables


def _cell(entry: Mapping[str, Any] | None) -> str:
    if not entry:
        return "–"
    return f"{entry['mean'] * 100:.1f} ({entry['low'] * 100:.1f}–{entry['high'] * 100:.1f})"
