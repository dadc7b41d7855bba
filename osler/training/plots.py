"""The loss curve as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def plot_loss(histories: dict[str, list[dict[str, Any]]], path: str | Path) -> None:
    """Draw training and development loss of each stage.

    Args:
        histories: stage name to the Trainer's `log_history`.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(histories) + 0.6, 3.2), layout="constrained")
    for number, (name, history) in enumerate(histories.items()):
        axes = figure.add_subplot(1, len(histories), number + 1)
        for key, label, style in (("loss", "training", "-"), ("eval_loss", "development", "o--")):
            points = [(entry["step"], entry[key]) for entry in history if key in entry]
            if points:
                axes.plot(*zip(*points, strict=True), style, label=label, linewidth=1.5, markersize=4)
        axes.set_title(name)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("loss per answer token (nats)")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
