"""What a comparison of runs looks like: rows of a table, a self-contained page, Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osler.evaluation.markdown import markdown_table
from osler.evaluation.report import render_report
from osler.evaluation.report_sections import PlotSection, Section, TableSection, TextSection
from osler.evaluation.whiskers import COLOURS, Whisker, whiskers

HEAD = ("protocol", "first", "second", "difference (95 % interval)", "p", "McNemar p", "smallest detectable", "n")
NOTES = (
    "Differences are first minus second on the same items, in percentage points. The interval resamples whole images; "
    "p draws the signs of whole images' differences at random. McNemar's test takes questions on one image for "
    "independent.",
    "Smallest detectable: the true difference that a comparison of so many items and images finds in four of five "
    "repetitions. It misses smaller ones more often: where nothing was found, the runs are not shown to be alike.",
)


def rows(result: Mapping[str, Any]) -> list[list[str]]:
    """One row for each protocol and pair of runs of `compare_many`; with more than two runs p-values are Holm's."""
    corrected = len(result["runs"]) > 2
    found = []
    for name, entry in result["protocols"].items():
        for pair in entry["pairs"]:
            test = pair["mcnemar"]
            cells = [_percent(pair["first_mean"]), _percent(pair["second_mean"])]
            if corrected:
                cells = [f"{pair['first']} {cells[0]}", f"{pair['second']} {cells[1]}"]
            found.append(
                [
                    name,
                    *cells,
                    f"{pair['difference'] * 100:+.1f} ({pair['low'] * 100:+.1f} to {pair['high'] * 100:+.1f})",
                    _p(pair["p_holm"]),
                    "–" if test is None else _p(test["p_holm"]),
                    "–" if pair["smallest_detectable"] is None else f"{pair['smallest_detectable'] * 100:.1f}",
                    f"{pair['n']} / {pair['clusters']}",
                ]
            )
    return found


def remarks(result: Mapping[str, Any]) -> list[str]:
    """What a reader must know: settings that differ, and how p-values were corrected."""
    found = [f"The runs differ in {setting}." for setting in result["settings_that_differ"]]
    if len(result["runs"]) > 2:
        pairs = len(result["runs"]) * (len(result["runs"]) - 1) // 2
        found.append(
            f"p-values are corrected for {pairs} pairs within each protocol (Holm), not for several protocols."
        )
    if result["condition"] != "real":
        found.append(f"These are answers under the control {result['condition']}, not to the real images.")
    return found


def write_comparison(result: Mapping[str, Any], path: str | Path) -> Path:
    """A self-contained page of `compare_many`'s result.

    Args:
        result: of `compare_many`.
        path: of the HTML file.
    """
    task = result["task"]
    labels = {run["name"]: run for run in result["runs"]}
    sections: list[Section] = []
    told = remarks(result)
    if told:
        sections.append(TextSection(title="Read this first", warnings=told))
    plots = []
    for name, entry in result["protocols"].items():
        drawn = [
            Whisker(run, own["mean"], own["low"], own["high"], COLOURS[number % len(COLOURS)])
            for number, (run, own) in enumerate(entry["runs"].items())
        ]
        plots.append((name, whiskers(drawn, title=f"{name}: mean and interval by run"), ""))
    sections.append(PlotSection(title="Scores", plots=plots, note="Per cent, with the 95 % interval over images."))
    sections.append(
        TableSection(
            title="Paired differences", head=HEAD, rows=rows(result), note=" ".join(NOTES) + " n: items / images."
        )
    )
    sections.append(
        TableSection(
            title="Runs",
            head=("run", "model", "sha256"),
            rows=[[name, run["model"]["name"], run["model"]["fingerprint"][:16]] for name, run in labels.items()],
        )
    )
    return render_report(
        path,
        title=f"Comparison on {task['name']} ({task['split']}, {task['convention']})",
        subtitle=f"{len(labels)} runs, {result['items']} items, condition {result['condition']}",
        sections=sections,
    )


def comparison_markdown(result: Mapping[str, Any]) -> str:
    """The same as Markdown."""
    task = result["task"]
    parts = [
        f"# Comparison on {task['name']} ({task['split']}, {task['convention']})",
        f"{result['items']} items, condition {result['condition']}.",
        markdown_table(("run", "model"), [[run["name"], run["model"]["name"]] for run in result["runs"]]),
        markdown_table(HEAD, rows(result)),
        *NOTES,
        *(f"- {text}" for text in remarks(result)),
    ]
    return "\n\n".join(parts) + "\n"


def _percent(value: float) -> str:
    return f"{value * 100:.1f}"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
