"""`osler eval`: ask a model a benchmark's questions, or score a file of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from osler.errors import EvaluationError


def evaluate(
    model: Annotated[str, typer.Argument(help="Model folder; leave out with --answers.")] = "",
    task: Annotated[str, typer.Option(help="Benchmark; see --list.")] = "",
    data: Annotated[Path | None, typer.Option(help="Folder (or record file) of the benchmark.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Image folder; by default that of the benchmark.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for scores.json, predictions.jsonl and report.html.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Score this answer file (JSONL or JSON) instead of asking a model.")
    ] = None,
    split: Annotated[str, typer.Option(help="test, or dev while choosing a checkpoint.")] = "test",
    convention: Annotated[
        str, typer.Option(help="Way to split, for instance official or image-disjoint; `all` runs each.")
    ] = "",
    limit: Annotated[int | None, typer.Option(help="Only so many items, drawn by a fixed hash.")] = None,
    controls: Annotated[
        str,
        typer.Option(
            help="Comma list of blank, noise, shuffled, text-only, options-shuffled, majority, position, centre-box, "
            "mean-box; or all, or none. By default blank, shuffled and those that need no model."
        ),
    ] = "",
    orders: Annotated[int, typer.Option(help="With options-shuffled: so many further orders of the options.")] = 3,
    batch_size: Annotated[int, typer.Option(help="Prompts in one forward pass.")] = 8,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Length limit of an answer; the benchmark's own unless said.", show_default=False)
    ] = None,
    box_format: Annotated[
        str, typer.Option(help="How the model writes boxes, for instance norm100_xyxy; the records' own unless said.")
    ] = "",
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="With --answers: count missing answers as wrong, do not stop.")
    ] = False,
    id_prefix: Annotated[str, typer.Option(help="With --answers: put this before each id of the file.")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask everything again instead of resuming.")] = False,
    seed: Annotated[int, typer.Option(help="Of shuffling, limit and bootstrap.")] = 0,
    list_tasks: Annotated[bool, typer.Option("--list", help="List the benchmarks.")] = False,
) -> None:
    """Evaluate with all protocols and controls side by side. The same command resumes an interrupted run."""
    from osler.evaluation import tasks

    if list_tasks:
        from osler.cli.task_list import task_lines

        for line in task_lines():
            typer.echo(line)
        return
    for value, option in ((task, "--task"), (data, "--data"), (out, "--out")):
        if not value:
            raise EvaluationError(f"say {option}; for instance --task vqa-rad --data DIR --out runs/eval")
    if bool(model) == bool(answers):
        raise EvaluationError("give either a model folder or --answers FILE")
    assert data is not None
    assert out is not None
    chosen = tasks.get(task)
    conventions: tuple[str, ...] = (convention or chosen.conventions[0],)
    if convention == "all":
        from osler.cli.task_list import with_records

        conventions = with_records(chosen, data, split)
    for name in conventions:
        folder = out / name if len(conventions) > 1 else out
        common: dict[str, Any] = {"data": data, "out": folder, "split": split, "convention": name, "seed": seed}
        common |= {"box_format": box_format or None, "image_folder": images}
        result: Any
        if answers:
            from osler.evaluation import score_answers

            result = score_answers(answers, chosen, allow_incomplete=allow_incomplete, id_prefix=id_prefix, **common)
        else:
            from osler.cli.quiet import quiet
            from osler.evaluation.run import evaluate as run
            from osler.models import check_folder

            check_folder(model)
            quiet()
            wanted = None if not controls else () if controls == "none" else tuple(controls.split(","))
            result = run(
                model,
                chosen,
                limit=limit,
                batch_size=batch_size,
                max_new_tokens=max_new_tokens,
                orders=orders,
                controls=wanted,  # type: ignore[arg-type]  # checked there
                resume=not fresh,
                **common,
            )
        show(result, f"{chosen.name} ({name})")
    if len(conventions) > 1:
        from osler.cli.task_list import show_summary

        show_summary(chosen.summary(out, data=data, split=split))


def show(result: Any, title: str) -> None:
    """Print protocols by conditions as a table."""
    from rich.console import Console
    from rich.table import Table

    from osler.evaluation.report_grounding import grounding_tables

    conditions = result.scores["conditions"]
    table = Table(title=title, caption="mean with 95 % confidence interval", title_justify="left")
    table.add_column("protocol")
    for name in conditions:
        table.add_column(name)
    for protocol in conditions["real"]["protocols"]:
        cells = []
        for condition in conditions.values():
            score = condition["protocols"][protocol]
            cells.append(
                "-"
                if score["mean"] is None
                else f"{score['mean']:.3f} ({score['low']:.3f}-{score['high']:.3f}) n={score['denominator']}"
            )
        table.add_row(protocol, *cells)
    console = Console(width=None if Console().width > 120 else 132)
    console.print(table)
    for section in grounding_tables(result.scores):
        further = Table(title=section.title, caption=section.note, title_justify="left")
        for column in section.head:
            further.add_column(column)
        for row in section.rows:
            further.add_row(*map(str, row))
        console.print(further)
    for warning in result.scores.get("warnings", []):
        console.print(f"[yellow]warning:[/] {warning}")
    console.print(f"report: {result.report}")
