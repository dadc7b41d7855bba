"""`report.md`: the numbers of an evaluation for a README or an issue, without the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osler.evaluation.markdown import escape, markdown_table
from osler.evaluation.report_details import confidence_sections, judge_section, order_sections
from osler.evaluation.report_grounding import grounding_tables
from osler.evaluation.report_scores import score_view
from osler.evaluation.report_sections import ScoresSection, Section, TableSection, TextSection
from osler.evaluation.report_summary import headline, summary_lines


def report_markdown(scores: Mapping[str, Any]) -> str:
    """Summary, warnings, protocols by conditions, paired differences, breakdowns, confidence, circumstances.

    Args:
        scores: content of `scores.json`.
    """
    task, name = scores["task"], headline(scores)
    view = score_view(ScoresSection(title="Scores", results=[("", scores)]))
    title = f"{task['name']} ({task['split']}, {task['convention']})"
    parts = [f"# {escape(title)}", f"> {escape(scores['disclaimer'])}"]
    if name is not None:
        parts += [escape(line, limit=2000) for line in summary_lines(scores, name)]
    if scores["warnings"]:
        parts += ["## Read this first", "\n".join(f"- {escape(text, limit=2000)}" for text in scores["warnings"])]
    table = markdown_table(["protocol", *view["heads"]], [[row.name, *row.cells] for row in view["rows"]])
    counts = [[row.name, row.counts] for row in view["rows"]]
    parts += ["## Scores", "Per cent; in brackets the 95 % interval over images.", table]
    parts.append(markdown_table(["protocol", "items"], counts))
    for _, found in view["differences"]:
        if found["rows"]:
            parts += ["### What the image contributes", markdown_table(found["head"], found["rows"])]
    for types in view["types"]:
        parts += [f"### {escape(types['name'])} by {escape(types['by'])}", markdown_table(types["head"], types["rows"])]
    sections: list[Section] = [*order_sections(scores), *confidence_sections(scores, name), *judge_section(scores)]
    for section in (*sections, *grounding_tables(scores)):
        if isinstance(section, TableSection):
            parts += [f"## {escape(section.title)}", markdown_table(section.head, section.rows), section.note]
        elif isinstance(section, TextSection):
            parts += [f"## {escape(section.title)}", section.text]
    facts = [[fact, escape_later] for _, found in view["facts"] for fact, escape_later in found]
    parts += ["## Circumstances", markdown_table(["", ""], facts)]
    return "\n\n".join(part for part in parts if part) + "\n"
