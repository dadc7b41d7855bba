"""`osler data`: get, check and look at records."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osler.cli import harvest, leaks
from osler.cli.export import export
from osler.errors import RecordError

if TYPE_CHECKING:
    from osler.records import Record

app = typer.Typer(
    help="Get, check and look at records (the training and test examples).",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("harvest")(harvest.harvest)
app.command("make-articles")(harvest.make_articles)


app.command("leaks")(leaks.leaks)


@app.command("list")
def list_sources(
    name: Annotated[str, typer.Argument(help="One source, with its options.", show_default=False)] = "",
) -> None:
    """List the sources that `osler data get` knows; with a name, tell more about one."""
    from rich.console import Console
    from rich.table import Table

    from osler.sources import get, names

    if name:
        source = get(name)
        typer.echo(f"{source.name}: {source.title}\n\n{source.description}\n\nlicence  {source.licence}")
        if source.url:
            typer.echo(f"home     {source.url}")
        for fact in ("revision", "access"):  # of data sets that are read from the user's own copy
            if getattr(source, fact, ""):
                typer.echo(f"{fact:<8} {getattr(source, fact)}")
        typer.echo(f"state    {source.state()}\n\noptions (KEY=VALUE after the folder):")
        for option, text in source.options.items():
            typer.echo(f"  {option:<15} {text}")
        return
    table = Table("name", "what it is", "licence", "state", title="Sources", title_justify="left")
    for item in names():
        source = get(item)
        table.add_row(source.name, source.title, source.licence, source.state())
    Console().print(table)
    typer.echo("More about one: osler data list NAME.  Get it: osler data get NAME FOLDER [KEY=VALUE ...]")


@app.command("get")
def get_source(
    name: Annotated[str, typer.Argument(help="Source; see `osler data list`.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Where the record files go.", show_default=False)],
    options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="Options of the source, for instance size=full or from=data.json."
        ),
    ] = None,
) -> None:
    """Fetch or convert a data set into record files.

    Examples:

      osler data get sample data/sample

      osler data get image-csv data/mine from=table.csv images=scans/
    """
    from rich.console import Console

    from osler.sources import get

    source = get(name)
    given: dict[str, str] = {}
    for text in options or []:
        key, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="KEY=VALUE")
        given[key] = value
    console = Console(stderr=True)
    with console.status(f"getting {name}") as status:

        def say(text: str) -> None:
            console.print(f"[dim]{text}[/]", highlight=False)
            status.update(text)

        fetched = source.get(folder, say=say, **given)
    for file, count in fetched.files.items():
        typer.echo(f"{fetched.folder / file}: {count} records")
    for file, count in fetched.rejects.items():
        typer.echo(f"{fetched.folder / file}: {count} rejected, with line and reason")
    for remark in fetched.remarks:
        typer.echo(f"note: {remark}")
    first = fetched.folder / next(iter(fetched.files))
    images = f" --images {fetched.images}" if fetched.images else ""
    typer.echo(f"look:  osler data show {first}{images}")


app.command("export")(export)


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="Record file: .jsonl, .parquet, or .json (LLaVA).", show_default=False)],
    images: Annotated[
        Path | None, typer.Option(help="Image folder; by default the file's folder.", show_default=False)
    ] = None,
    no_images: Annotated[bool, typer.Option("--no-images", help="Look at the records only.")] = False,
    hashes: Annotated[bool, typer.Option("--hashes", help="Also compare SHA-256 of images that state it.")] = False,
    allow_absolute: Annotated[bool, typer.Option("--allow-absolute", help="Allow absolute image paths.")] = False,
    limit: Annotated[int, typer.Option(help="Print at most so many problems of each kind.")] = 50,
) -> None:
    """Validate every record and its images. Prints FILE:LINE: FIELD: REASON for what is wrong and then exits with 1."""
    from osler.record_files import Reject, check_images, iter_records

    rejects: list[Reject] = []
    records = list(iter_records(file, on_reject=rejects.append))
    for reject in rejects[:limit]:
        typer.echo(f"{file}:{reject.line}: {reject.reason}")
    if len(rejects) > limit:
        typer.echo(f"... and {len(rejects) - limit} more rejected lines")
    problems = 0
    if not no_images and records:
        from rich.console import Console
        from rich.progress import track

        from osler.images import image_size

        folder = images or file.parent
        if not folder.is_dir():
            raise RecordError("no such image folder; name it with --images", path=folder)
        shown = track(records, "checking images", console=Console(stderr=True), transient=True)
        report = check_images(shown, folder, size_of=image_size, hashes=hashes, allow_absolute=allow_absolute)
        problems = len(report.problems)
        for problem in report.problems[:limit]:
            typer.echo(
                f"{file}: record {problem.record_id}: images.{problem.image}: {problem.kind.replace('_', ' ')}: "
                f"{problem.detail}"
            )
        if problems > limit:
            typer.echo(f"... and {problems - limit} more problems with images")
    _summary(records)
    subjects = len({record.subject for record in records if record.subject})
    typer.echo(
        f"{len(records)} valid records, {len(rejects)} rejected, "
        + ("images not checked" if no_images else f"{problems} problems with images")
        + f", {subjects} subjects"
    )
    if not records and not rejects:
        typer.echo(f"{file}: holds no records")
    if rejects or problems or not records:
        raise typer.Exit(1)


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="Record file: .jsonl, .parquet, or .json (LLaVA).", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="HTML page; by default FILE.html.", show_default=False)] = None,
    images: Annotated[
        Path | None, typer.Option(help="Image folder; by default the file's folder.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many records, evenly spaced.")] = 200,
    allow_absolute: Annotated[bool, typer.Option("--allow-absolute", help="Allow absolute image paths.")] = False,
) -> None:
    """Write a contact sheet: one HTML page with pictures, boxes, questions and answers, and filters by tag.

    It holds the pictures themselves: treat it like the images.
    """
    from osler.record_files import Reject, iter_records
    from osler.sources.contact_sheet import write_contact_sheet

    rejects: list[Reject] = []
    records: list[Any] = list(iter_records(file, on_reject=rejects.append))
    if not records:
        reason = rejects[0].reason if rejects else "holds no records"
        raise RecordError(reason, path=file, line=rejects[0].line if rejects else None)
    page = out or file.with_suffix(".html")
    sheet = write_contact_sheet(
        records, images or file.parent, page, limit=limit, title=file.name, allow_absolute=allow_absolute
    )
    for failure in sheet.failures[:10]:
        typer.echo(f"image not shown: {failure}", err=True)
    if len(sheet.failures) > 10:
        typer.echo(f"... and {len(sheet.failures) - 10} more images not shown", err=True)
    if rejects:
        typer.echo(f"{len(rejects)} lines are no valid records; see `osler data check {file}`", err=True)
    size = page.stat().st_size / 1e6
    typer.echo(f"{page}: {sheet.shown} of {sheet.total} records, {size:.1f} MB; open it in a browser")


def _summary(records: list[Record]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not records:
        return
    table = Table("question type", "records", "with boxes", "commonest answer", title_justify="left")
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.tags.get("question_type", "-"), []).append(record)
    for kind, items in sorted(groups.items()):
        answers = Counter(_answer(item) for item in items)
        answer, count = answers.most_common(1)[0]
        short = answer if len(answer) <= 40 else answer[:37] + "..."
        boxed = sum(bool(item.regions) for item in items)
        table.add_row(kind, str(len(items)), str(boxed), f"{short} ({count / len(items):.0%})")
    Console().print(table)


def _answer(record: Record) -> str:
    return next((turn.text for turn in record.turns if turn.role == "assistant"), "(no answer)")
