"""`osler study`: many runs that answer one question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Studies: many runs, one question, resumable from their results.", no_args_is_help=True)


@app.command(name="data-efficiency")
def data_efficiency(
    data: Annotated[Path, typer.Option(help="Folder of `osler data get phantom`.")] = Path("data/phantom"),
    out: Annotated[Path, typer.Option(help="Folder for starting models and unfinished runs.")] = Path("runs/study"),
    results: Annotated[
        Path, typer.Option(help="Folder for one JSON a run; a run that is there is not run again.")
    ] = Path("runs/study/results"),
    only: Annotated[
        str, typer.Option(help="Part of the grid, for instance variant=none,variant=infonce,fraction=0.1,seed=0.")
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at the same time, one thread each.")] = 1,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Change of the recipe small/study, dotted.key=value.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and whether they are done.")] = False,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Leave the models of finished runs.")] = False,
) -> None:
    """Pre-train a small model on parts of the data with each objective, fine-tune, and ask held-out questions."""
    from osler.study.grid import all_runs, choose
    from osler.study.one_run import Setting
    from osler.study.schedule import run_all, show_grid

    setting = Setting(data=data, work=out, results=results, overrides=tuple(override or ()), keep_models=keep_models)
    runs = choose(all_runs(), only)
    if dry_run:
        show_grid(runs, setting, typer.echo)
        return
    from osler.cli.quiet import quiet

    quiet()
    failed = run_all(runs, setting, jobs=jobs, say=typer.echo)
    if failed:
        typer.echo(f"{failed} runs failed; the same command tries them again", err=True)
        raise typer.Exit(1)
    typer.echo(f"tables: osler study report --results {results} --out data_efficiency.md")


@app.command(name="abnormal-aware")
def abnormal_aware(
    phantom: Annotated[Path, typer.Option(help="Folder of `osler data get phantom`.")] = Path("data/phantom"),
    bccd: Annotated[Path, typer.Option(help="Folder of `osler data get pascal-voc` on BCCD.")] = Path("data/bccd"),
    bccd_images: Annotated[Path, typer.Option(help="Pictures of BCCD (JPEGImages).")] = Path("data/BCCD/JPEGImages"),
    out: Annotated[Path, typer.Option(help="Folder for starting models and unfinished runs.")] = Path(
        "runs/abnormal_aware"
    ),
    results: Annotated[
        Path, typer.Option(help="Folder for one JSON a run; a run that is there is not run again.")
    ] = Path("runs/abnormal_aware/results"),
    only: Annotated[str, typer.Option(help="Part of the grid, for instance data=phantom,seed=0.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at the same time, one thread each.")] = 1,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Change of the recipes small/abnormal_*, dotted.key=value.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and whether they are done.")] = False,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Leave the models of finished runs.")] = False,
) -> None:
    """Tune a small model to state boxes, then reward boxes and attention, against more tuning of the same cost."""
    from osler.study.abnormal_aware.grid import all_runs, choose
    from osler.study.abnormal_aware.one_run import Setting
    from osler.study.abnormal_aware.schedule import run_all, show_grid

    sources = {"phantom": (phantom, phantom), "bccd": (bccd, bccd_images)}
    setting = Setting(sources, out.resolve(), results, tuple(override or ()), keep_models)
    runs = choose(all_runs(), only)
    if dry_run:
        show_grid(runs, setting, typer.echo)
        return
    from osler.cli.quiet import quiet

    quiet()
    failed = run_all(runs, setting, jobs=jobs, say=typer.echo)
    if failed:
        typer.echo(f"{failed} runs failed; the same command tries them again", err=True)
        raise typer.Exit(1)
    typer.echo(f"tables: osler study report --results {results} --out abnormal_aware.md")


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="Folder with the JSON files of the runs.")],
    out: Annotated[Path, typer.Option(help="Markdown file to write; a picture, if any, goes beside it.")],
) -> None:
    """Rebuild tables and picture of a study from its results."""
    if any(results.glob("*-start-s*.json")):
        from osler.study.abnormal_aware.report import write_report as write_page

        write_page(results, out)
        typer.echo(f"{out}")
        return
    from osler.study.report import write_report

    write_report(results, out)
    typer.echo(f"{out}, {out.with_suffix('.png')}")
