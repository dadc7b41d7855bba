"""Accuracy against the share of the data, as a picture."""

from __future__ import annotations

from pathlib import Path

from osler.study.grid import BASELINE, BUDGETS, VARIANTS
from osler.study.tables import Study

# Okabe and Ito's colours, told apart by people with any kind of colour vision, and a mark of its own for each
_STYLES = {
    "none": ("#000000", "o"),
    "graph_released": ("#E69F00", "s"),
    "graph_improved": ("#0072B2", "D"),
    "infonce": ("#009E73", "^"),
    "siglip": ("#CC79A7", "v"),
}


def draw_curve(study: Study, path: Path) -> None:
    """Draw one panel for each budget.

    Args:
        study: results.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, budget in zip(panels, BUDGETS, strict=True):
        drawn = [name for name in study.variants if study.cell(name, study.fractions[0], budget)]
        for number, variant in enumerate(drawn):
            colour, mark = _STYLES.get(variant, ("#555555", "x"))
            points = [(f, study.accuracy(variant, f, budget)) for f in study.fractions]
            known = [(fraction, found) for fraction, found in points if found is not None]
            shift = 0.9 * (number - (len(drawn) - 1) / 2)  # per cent; so that bars do not hide each other
            x = [100 * fraction + shift for fraction, _ in known]
            y = [100 * found.mean for _, found in known]
            bars = [[100 * (f.mean - f.low) for _, f in known], [100 * (f.high - f.mean) for _, f in known]]
            width = 2.2 if variant == BASELINE else 1.6
            axes.errorbar(
                x, y, yerr=bars, color=colour, marker=mark, markersize=6, linewidth=width, capsize=3, elinewidth=1,
                label=VARIANTS[variant].label,
            )  # fmt: skip
        axes.set_title(f"equal {'optimiser steps' if budget == 'steps' else 'compute (tokens)'}")
        axes.set_xlabel("share of the instruction data (%)")
        axes.set_xticks([100 * fraction for fraction in study.fractions])
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("held-out questions answered rightly (%)")
    panels[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
