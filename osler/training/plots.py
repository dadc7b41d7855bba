"""The curves of a run as a picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

History = list[dict[str, Any]]


def plot_loss(histories: dict[str, History], path: str | Path) -> None:
    """Draw training and development loss of each stage, and beside it the rewards of a stage that has some.

    Args:
        histories: stage name to the Trainer's `log_history`.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    panels = [
        (name, history, kind)
        for name, history in histories.items()
        for kind in (("loss", "rewards") if reward_curves(history) else ("loss",))
    ]
    figure = Figure(figsize=(4.2 * len(panels) + 0.6, 3.2), layout="constrained")
    for number, (name, history, kind) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1)
        if kind == "rewards":
            _draw_rewards(axes, history)
        else:
            _draw_loss(axes, history)
        axes.set_title(name)
        axes.set_xlabel("optimiser step")
        axes.grid(alpha=0.25)
        if axes.lines:
            axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


def reward_curves(history: History) -> dict[str, list[tuple[int, float]]]:
    """Mean of each reward before normalisation and weight, over the steps; empty for a stage without rewards.

    Args:
        history: the Trainer's `log_history`.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    for entry in history:
        for key, value in entry.items():
            match = re.fullmatch(r"rewards/(.+)/raw/mean", key)
            if match and value is not None:
                curves.setdefault(match[1], []).append((entry["step"], value))
    return curves


def _draw_loss(axes: Axes, history: History) -> None:
    for key, label, style in (("loss", "training", "-"), ("eval_loss", "development", "o--")):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label, linewidth=1.5, markersize=4)
    if reward_curves(history):  # a surrogate whose gradient counts; it may be negative
        axes.set_ylabel("clipped objective")
    else:
        axes.set_ylabel("loss per answer token (nats)")
        axes.set_ylim(bottom=0)


def _draw_rewards(axes: Axes, history: History) -> None:
    for name, points in reward_curves(history).items():
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1.5)
    axes.set_ylabel("mean reward, not normalised")
    axes.set_ylim(0, 1)
