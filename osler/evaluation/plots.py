"""Inline SVG of calibration and abstention: reliability diagram and risk-coverage curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from osler.evaluation.whiskers import COLOURS

_SIDE, _LEFT, _BOTTOM, _TOP, _RIGHT = 240, 44, 40, 10, 14
_WIDTH, _HEIGHT = _LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM


def _x(value: float) -> float:
    return round(_LEFT + _SIDE * min(max(value, 0.0), 1.0), 1)


def _y(value: float) -> float:
    return round(_TOP + _SIDE * (1.0 - min(max(value, 0.0), 1.0)), 1)


def _frame(title: str, across: str, up: str, top: float = 1.0) -> list[str]:
    """Opening tag, grid, ticks in per cent and axis titles of a plot from 0 to 1 across and to `top` upwards."""
    label = escape(title, {'"': "&quot;"})
    parts = [f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">']
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line class="grid" x1="{_x(tick)}" x2="{_x(tick)}" y1="{_y(0)}" y2="{_y(1)}"/>')
        parts.append(f'<line class="grid" x1="{_x(0)}" x2="{_x(1)}" y1="{_y(tick)}" y2="{_y(tick)}"/>')
        parts.append(
            f'<text class="tick" x="{_x(tick)}" y="{_y(0) + 14}" text-anchor="middle">{tick * 100:g}</text>'
            f'<text class="tick" x="{_x(0) - 5}" y="{_y(tick) + 4}" text-anchor="end">{tick * top * 100:.3g}</text>'
        )
    parts.append(
        f'<text class="tick" x="{_x(0.5)}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>'
        f'<text class="tick" x="11" y="{_y(0.5)}" text-anchor="middle" transform="rotate(-90 11 {_y(0.5)})">'
        f"{escape(up)}</text>"
    )
    return parts


def reliability_plot(bins: Sequence[Mapping[str, Any]], *, title: str) -> str:
    """Share right against mean confidence by bin, the area of a dot being its items; on the diagonal all is well.

    Args:
        bins: with `confidence`, `right` and `n`.
        title: for screen readers.
    """
    parts = _frame(title, "confidence, %", "right, %")
    parts.append(f'<line class="ideal" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>')
    most = max((part["n"] for part in bins), default=1)
    points = " ".join(f"{_x(part['confidence'])},{_y(part['right'])}" for part in bins)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[0]}" stroke-opacity=".5"/>')
    for part in bins:
        radius = round(2 + 4 * (part["n"] / most) ** 0.5, 1)
        words = f"{part['n']} items: confidence {part['confidence'] * 100:.0f}%, right {part['right'] * 100:.0f}%"
        parts.append(
            f'<circle cx="{_x(part["confidence"])}" cy="{_y(part["right"])}" r="{radius}" fill="{COLOURS[0]}" '
            f'fill-opacity=".8"><title>{words}</title></circle>'
        )
    return "".join([*parts, "</svg>"])


def risk_coverage_plot(points: Sequence[Sequence[float]], *, without: float, title: str) -> str:
    """Mean loss among the surest items against the share that is answered; the dashed line is answering at random.

    Args:
        points: [coverage, risk], both in [0, 1].
        without: mean loss over all items, which is the risk at every coverage if confidence says nothing.
        title: for screen readers.
    """
    most = max(without, *(risk for _, risk in points))
    top = next(level for level in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if most <= level + 1e-9)
    parts = _frame(title, "answered, the surest first, %", "mean loss, %", top)
    level = _y(without / top)
    parts.append(f'<line class="ideal" x1="{_x(0)}" y1="{level}" x2="{_x(1)}" y2="{level}"/>')
    line = " ".join(f"{_x(coverage)},{_y(risk / top)}" for coverage, risk in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[4]}" stroke-width="2"/>')
    return "".join([*parts, "</svg>"])
