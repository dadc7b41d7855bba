"""`osler data leaks`: what of a test set stands in a training set too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def leaks(
    train: Annotated[
        str,
        typer.Argument(help="Record file, folder of records or pictures, or TASK:SPLIT.", show_default=False),
    ],
    test: Annotated[str, typer.Argument(help="The same.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option(help="Data of the benchmark, for TASK:SPLIT.", show_default=False)
    ] = None,
    convention: Annotated[str, typer.Option(help="Way to split it; its first unless said.")] = "",
    train_images: Annotated[
        Path | None, typer.Option(help="Image folder; the file's by default.", show_default=False)
    ] = None,
    test_images: Annotated[Path | None, typer.Option(help="The same.", show_default=False)] = None,
    max_distance: Annotated[int, typer.Option(min=0, help="Of near duplicates, in bits of 256.")] = 40,
    out: Annotated[Path | None, typer.Option(help="Folder for leaks.json and pairs.png.", show_default=False)] = None,
    fail: Annotated[bool, typer.Option("--fail", help="Exit with 1 when there are leaks.")] = False,
) -> None:
    """Find images (same file, same pixels, near duplicates in four reflections), questions and patients on both sides.

    Examples:

      osler data leaks data/train.jsonl data/test.jsonl --out runs/leaks

      osler data leaks vqa-rad:train vqa-rad:test --data vqa_rad --convention official
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from osler.evaluation.leak_inputs import read_side
    from osler.evaluation.leak_sheet import draw_pairs, question_rows, summary_rows
    from osler.evaluation.leaks import find_leaks

    console = Console(stderr=True)
    sides = [
        read_side(text, data=data, convention=convention or None, images=images)
        for text, images in ((train, train_images), (test, test_images))
    ]
    with console.status("reading") as status:
        found = find_leaks(*sides, max_distance=max_distance, say=status.update)
    table = Table("what", "count", "share", title=escape(f"{found.test} in {found.train}"), title_justify="left")
    for label, count, share in summary_rows(found):
        table.add_row(label, str(count), share)
    shown = Console()
    shown.print(table)
    if found.questions:
        asked = Table("test", "train", "question", "test answer", "train answer", "image", title="Same question")
        for row in question_rows(found):
            asked.add_row(*map(escape, row))
        shown.print(asked)
        if len(found.questions) > asked.row_count:
            shown.print(f"... and {len(found.questions) - asked.row_count} more questions")
    for line in found.unreadable[:10]:
        typer.echo(f"not compared: {line}", err=True)
    if len(found.unreadable) > 10:
        typer.echo(f"... and {len(found.unreadable) - 10} more images were not compared", err=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "leaks.json").write_text(json.dumps(found.to_json(), indent=1, ensure_ascii=False), encoding="utf-8")
        typer.echo(f"numbers: {out / 'leaks.json'}")
        picture = draw_pairs(found, out / "pairs.png")
        if picture:
            typer.echo(f"pairs:   {picture}   (look at them: a near duplicate is a guess until somebody looked)")
    if fail and found.found:
        raise typer.Exit(1)
