"""The first section of a report: what the numbers say, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osler.evaluation.figures import percent_interval
from osler.evaluation.report_scores import CONDITION_NAMES
from osler.evaluation.report_sections import TextSection

PREFERRED = (
    "option-letter",
    "candidate-whole-word",
    "grounding-iou",
    "strict-exact-match",
    "token-f1",
)
"""Protocols that a summary is about, the first that the task has; none of them imitates released code."""


def headline(scores: Mapping[str, Any]) -> str | None:
    """Name of the protocol that a summary is about: strict, ours, and with items; else the one with the most items."""
    real = scores["conditions"]["real"]["protocols"]
    scored = [name for name, entry in real.items() if entry["n"]]
    first = next((name for name in PREFERRED if name in scored), None)
    return first or max(scored, key=lambda name: real[name]["n"], default=None)


def summary_section(scores: Mapping[str, Any]) -> TextSection:
    """Score, controls, failures and confidence of the headline protocol, with what they mean.

    Args:
        scores: content of `scores.json`.
    """
    name = headline(scores)
    if name is None:
        return TextSection(title="In short", text="No protocol applies to any of the items.")
    return TextSection(title="In short", text="\n\n".join(summary_lines(scores, name)))


def summary_lines(scores: Mapping[str, Any], name: str) -> list[str]:
    """Sentences about one protocol."""
    entry = scores["conditions"]["real"]["protocols"][name]
    lines = [
        f"{name}: {percent_interval(entry)} per cent of {entry['denominator']} items on {entry['clusters']} images "
        f"(95 % interval over images)."
    ]
    told: list[str] = []
    unclear: list[str] = []
    for found in scores["differences"]:
        if found["protocol"] != name or found["second"].startswith("options-shuffled"):
            continue
        label = CONDITION_NAMES.get(found["second"], found["second"])
        words = f"{label} ({found['second_mean'] * 100:.1f})"
        (told if found["low"] > 0 else unclear).append(words)
    if told:
        lines.append(f"Better than these controls, beyond the interval of the paired difference: {', '.join(told)}.")
    if unclear:
        lines.append(
            f"NOT shown to be better than: {', '.join(unclear)}. What such a control earns is no sign of having looked."
        )
    failed = [f"{entry[key]} {word}" for key, word in _FAILURES if entry.get(key)]
    if failed:
        lines.append(f"Counted as wrong: {', '.join(failed)} (refusals and missing answers are among the not parsed).")
    order = scores.get("orders", {}).get(name)
    if order:
        lines.append(
            f"With the options in {order['orders']} orders: {percent_interval(order['every_order'])} per cent right in "
            f"every order; the same option in {percent_interval(order['agreement'])} per cent of the pairs of orders."
        )
    sure = scores.get("confidence", {}).get("protocols", {}).get(name)
    if sure and sure["ece"]:
        lines.append(
            f"Mean confidence {sure['mean_confidence'] * 100:.1f} per cent, expected calibration error "
            f"{percent_interval(sure['ece'])}."
        )
    return lines


_FAILURES = (("failures", "not parsed"), ("refusals", "refusals"), ("missing", "missing"))
