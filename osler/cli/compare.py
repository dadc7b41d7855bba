"""`osler compare`: evaluations on the same items, paired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from osler.errors import EvaluationError


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `osler eval` wrote, of one benchmark; two or more.")],
    condition: Annotated[str, typer.Option(help="real, or a control that all have, for instance blank.")] = "real",
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Also write this file: .html, .json or .md.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare evaluations item by item: paired differences (first minus second) with interval and tests.

    With more than two runs every pair is compared, and p-values are corrected for the number of pairs (Holm).
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from osler.evaluation.compare import compare_many, compare_runs
    from osler.evaluation.compare_report import HEAD, NOTES, comparison_markdown, remarks, rows, write_comparison

    if len(runs) < 2:
        raise EvaluationError("comparing needs at least two folders that `osler eval` wrote")
    if out is not None and out.suffix not in {".html", ".json", ".md"}:
        raise EvaluationError(f"{out}: the suffix says what to write; want .html, .json or .md")
    result = compare_many(runs, condition=condition, seed=seed)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    if out is not None and out.suffix == ".html":
        write_comparison(result, out)
    elif out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text if out.suffix == ".json" else comparison_markdown(result), encoding="utf-8")
    if as_json:
        two = len(runs) == 2
        typer.echo(json.dumps(compare_runs(*runs, condition=condition, seed=seed), indent=1) if two else text)
        return
    names = " and ".join(run["name"] for run in result["runs"])
    table = Table(title=escape(f"{names}: {result['items']} items, {condition}"), title_justify="left")
    for column in HEAD:
        table.add_column(column, justify="left" if column == "protocol" else "right")
    for row in rows(result):
        table.add_row(*map(escape, row))
    console = Console(width=None if Console().width > 120 else 132)
    console.print(table)
    for remark in remarks(result):
        console.print(f"[yellow]note:[/] {remark}")
    for note in NOTES:
        console.print(note)
    if out is not None:
        console.print(f"wrote {out}")
