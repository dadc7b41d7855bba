"""`osler compare`: two evaluations on the same items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[Path, typer.Argument(help="Folder that `osler eval` wrote.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another, of the same task and data.", show_default=False)],
    condition: Annotated[str, typer.Option(help="real, blank, shuffled or majority.")] = "real",
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare two evaluations item by item: paired difference (first minus second) with interval and exact test."""
    from rich.console import Console
    from rich.table import Table

    from osler.evaluation import compare_runs

    result = compare_runs(first, second, condition=condition, seed=seed)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    table = Table(title=f"{first} minus {second}, {result['items']} items, {condition}", title_justify="left")
    for column in ("protocol", "first", "second", "difference (95 % interval)", "McNemar p"):
        table.add_column(column)
    for name, entry in result["protocols"].items():
        test = entry["mcnemar"]
        table.add_row(
            name,
            f"{entry['first_mean']:.3f}",
            f"{entry['second_mean']:.3f}",
            f"{entry['difference']:+.3f} ({entry['low']:+.3f} to {entry['high']:+.3f})",
            "-" if test is None else f"{test['p_value']:.3f}",
        )
    console = Console()
    console.print(table)
    for setting in result["settings_that_differ"]:
        console.print(f"[yellow]note:[/] the runs differ in {setting}")
