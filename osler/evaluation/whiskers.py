"""Inline SVG of scores with their intervals: one row per condition, a dot for the mean, a bar for the interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _RIGHT, _ROW = 450, 142, 46, 22
# Distinguishable without colour vision (Okabe and Ito 2008): blue, orange, green, purple, vermilion, sky.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#8d4f87", "#d55e00", "#3a8fbf")


class Whisker(NamedTuple):
    """One row. All numbers in [0, 1].

    Args:
        label: at the left.
        mean: dot.
        low: left end of the bar.
        high: right end.
        colour: CSS colour.
    """

    label: str
    mean: float
    low: float
    high: float
    colour: str = COLOURS[0]


def whiskers(rows: Sequence[Whisker], *, title: str) -> str:
    """Draw rows over a common axis from 0 to 100.

    Args:
        rows: from top to bottom.
        title: for screen readers.

    Returns:
        An `<svg>` element that scales to the width of the page.
    """
    height = _ROW * len(rows) + 22
    span = _WIDTH - _LEFT - _RIGHT

    def x(value: float) -> float:
        return round(_LEFT + span * min(max(value, 0.0), 1.0), 1)

    label = escape(title, {'"': "&quot;"})
    parts = [f'<svg class="whiskers" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">']
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="2" y2="{height - 18}"/>')
        parts.append(f'<text class="tick" x="{x(tick)}" y="{height - 4}" text-anchor="middle">{tick * 100:g}</text>')
    for number, row in enumerate(rows):
        y = _ROW * number + _ROW / 2 + 2
        parts.append(
            f'<text class="row" x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(_short(row.label))}</text>'
            f'<line x1="{x(row.low)}" x2="{x(row.high)}" y1="{y}" y2="{y}" stroke="{row.colour}" stroke-width="7" '
            f'stroke-opacity=".3" stroke-linecap="round"/>'
            f'<circle cx="{x(row.mean)}" cy="{y}" r="4.5" fill="{row.colour}"/>'
            f'<text class="row" x="{_WIDTH - _RIGHT + 12}" y="{y + 4}">{row.mean * 100:.1f}</text>'
        )
    return "".join([*parts, "</svg>"])


def _short(label: str, limit: int = 21) -> str:
    return label if len(label) <= limit else label[: limit - 1] + "…"
