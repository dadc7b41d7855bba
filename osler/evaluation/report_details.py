"""Sections of a report below the scores: breakdowns, order of options, confidence, reliability of the judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osler.evaluation.figures import percent_interval
from osler.evaluation.plots import reliability_plot, risk_coverage_plot
from osler.evaluation.report_sections import PlotSection, Section, TableSection, TextSection
from osler.evaluation.whiskers import COLOURS, Whisker, whiskers

_MOST = 30
_SMALL = "#9aa6b8"


def breakdown_section(scores: Mapping[str, Any], name: str | None) -> list[Section]:
    """Whiskers of one protocol by question type and by every group with at least two values."""
    if name is None:
        return []
    entry = scores["conditions"]["real"]["protocols"][name]
    tables = {"question type": entry["by_question_type"], **entry.get("by_tag", {})}
    plots = []
    for group, table in tables.items():
        rows = sorted((item for item in table.items() if item[1]["n"]), key=lambda item: (-item[1]["n"], item[0]))
        if len(rows) < 2:
            continue
        drawn = []
        for value, found in rows[:_MOST]:
            small = found.get("small", found["clusters"] < 20)
            label = f"{value[:13]} (n {found['n']}{'*' if small else ''})"
            drawn.append(Whisker(label, found["mean"], found["low"], found["high"], _SMALL if small else COLOURS[0]))
        note = f"{len(rows) - _MOST} smaller groups are in the tables only." if len(rows) > _MOST else ""
        plots.append((f"by {group}", whiskers(drawn, title=f"{name} by {group}"), note))
    if not plots:
        return []
    note = (
        f"{name}, real image; per cent with the 95 % interval. * and grey: fewer than 20 images, the interval is too "
        "narrow. Groups were not chosen beforehand: of many groups some differ by luck."
    )
    return [PlotSection(title="Breakdowns", plots=plots, note=note)]


def order_sections(scores: Mapping[str, Any]) -> list[Section]:
    """What the place of the right option gives away, and whether answers hang on the order of the options."""
    sections: list[Section] = []
    place = scores["controls"].get("position")
    if place:
        rows = [[name, f"{share * 100:.1f}"] for name, share in place["places"].items()]
        sections.append(
            TableSection(
                title="Place of the right option",
                head=["always", "right, %"],
                rows=[*rows, ["guessing", f"{place['chance'] * 100:.1f}"]],
                note=f"Of {place['items']} items, whatever the model. The control “best option place” is the best of "
                "these in hindsight. A place far above guessing is a leak of the benchmark.",
            )
        )
    if scores.get("orders"):
        columns = ("mean", "every_order", "agreement")
        body = [
            [name, found["items"], found["orders"], *(percent_interval(found[key]) for key in columns),
             f"{found['lowest'] * 100:.1f} to {found['highest'] * 100:.1f}"]
            for name, found in scores["orders"].items()
        ]  # fmt: skip
        sections.append(
            TableSection(
                title="Options in other orders",
                head=["protocol", "items", "orders", "mean", "right in every order", "same option", "single orders"],
                rows=body,
                note="Per cent, in brackets the interval. Same option: of pairs of orders, those that choose the same.",
            )
        )
    return sections


def confidence_sections(scores: Mapping[str, Any], name: str | None) -> list[Section]:
    """Calibration and abstention: a table of all protocols, plots of one."""
    found = scores.get("confidence")
    if found is None:
        return []
    if not found["protocols"]:
        return [TextSection(title="Confidence and abstention", text=found["reason"])]
    rows = []
    for protocol, entry in found["protocols"].items():
        at = entry["coverage_at_risk"]
        rows.append(
            [
                protocol,
                entry["n"],
                f"{entry['mean_confidence'] * 100:.1f}",
                f"{entry['mean_score'] * 100:.1f}",
                *(percent_interval(entry[key]) for key in ("ece", "brier")),
                _brier_options(entry["brier_options"]),
                f"{percent_interval(entry['aurc'])}, best {entry['aurc']['best_possible'] * 100:.1f}",
                ", ".join(f"{float(risk) * 100:g}%: {share * 100:.0f}" for risk, share in at.items()),
            ]
        )
    of = {"options": "probabilities of the options", "answer": "mean token probability of the answer"}
    note = (
        f"Confidence: {' and '.join(of[kind] for kind in found['of'])}; {found['without']} items without. Lower is "
        "better for calibration error, Brier and area under the risk-coverage curve (AURC). Coverage: share that can "
        "be answered, the surest first, if the mean loss may be at most so much; chosen on these items, so it flatters."
    )
    head = [
        "protocol",
        "n",
        "confidence",
        "score",
        "calibration error",
        "Brier",
        "Brier, options",
        "AURC",
        "coverage at loss",
    ]
    sections: list[Section] = [TableSection(title="Confidence and abstention", head=head, rows=rows, note=note)]
    shown = name if name in found["protocols"] else next(iter(found["protocols"]))
    entry = found["protocols"][shown]
    plots = []
    if entry["reliability"]:
        plots.append((
            "reliability", reliability_plot(entry["reliability"], title=f"reliability, {shown}"),
            "Dots below the line: too sure. Bins of equal numbers of items.",
        ))  # fmt: skip
    plots.append((
        "risk and coverage",
        risk_coverage_plot(
            entry["risk_coverage"], without=entry["aurc"]["without_confidence"], title=f"risk-coverage curve, {shown}"
        ),
        "Dashed: confidence that says nothing.",
    ))  # fmt: skip
    sections.append(PlotSection(title=f"Confidence: {shown}", plots=plots))
    return sections


def judge_section(scores: Mapping[str, Any]) -> list[Section]:
    """What judges said (`osler judge`), and whether they agree with themselves; nothing before anyone was asked."""
    rows = []
    for name, entry in scores.get("judges", {}).items():
        for condition, found in entry["conditions"].items():
            told = found["reliability"]
            bias = told["position_bias"]
            rows.append([
                name, str(entry["judge"]["model"]), condition, percent_interval(found),
                str(found["denominator"]), str(found["failures"]), "–" if bias is None else f"{bias:+.2f}",
                _share(told["order_agreement"]), _share(told["repeat_agreement"]),
            ])  # fmt: skip
    if not rows:
        return []
    head = ["judged by", "judge", "condition", "mean", "n", "not marked", "bias for the first place (marks)"]
    head += ["same verdict in both orders", "same when asked again"]
    note = "A judge is a model as well: its scores are worth what its agreement with itself is worth. –: was not asked."
    return [TableSection(title="Judges, and how far to trust them", head=head, rows=rows, note=note)]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _brier_options(entry: Mapping[str, float] | None) -> str:
    """From 0 to 2, so not in per cent."""
    return (
        "–"
        if entry is None
        else f"{entry['mean']:.3f} ({entry['low']:.3f}–{entry['high']:.3f}), guessing {entry['of_guessing']:.3f}"
    )
