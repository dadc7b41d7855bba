"""`osler data export`: a benchmark in the form of another evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    task: Annotated[str, typer.Argument(help="Benchmark; see `osler eval --list`.", show_default=False)],
    data: Annotated[Path, typer.Argument(help="Folder (or record file) of the benchmark.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Folder to write into.", show_default=False)],
    form: Annotated[str, typer.Option("--format", help="vlmevalkit (TSV) or lmms-eval (task folder).")] = "vlmevalkit",
    split: Annotated[str, typer.Option(help="test, dev or train.")] = "test",
    convention: Annotated[str, typer.Option(help="Way to split; the benchmark's first unless said.")] = "",
    limit: Annotated[int | None, typer.Option(help="Only so many items, drawn by a fixed hash.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Image folder; by default that of the benchmark.", show_default=False)
    ] = None,
) -> None:
    """Write a benchmark as VLMEvalKit's TSV or as a task of lmms-eval. The pictures go into what is written.

    Examples:

      osler data export vqa-rad vqa_rad ~/LMUData

      osler data export slake data/slake lmms_tasks --format lmms-eval --convention zh
    """
    from osler.evaluation.export import export as write

    written = write(
        task,
        data,
        out,
        form=form,  # type: ignore[arg-type]  # checked there
        split=split,
        convention=convention or None,
        limit=limit,
        image_folder=images,
    )
    typer.echo(f"{written.path}: {written.items} items as {written.name}")
    for remark in written.remarks:
        typer.echo(f"note: {remark}")
    typer.echo(f"run:  {written.command}")
