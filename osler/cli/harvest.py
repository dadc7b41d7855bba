"""`osler data harvest` and `osler data make-articles`: figures and captions of open-access articles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer


def harvest(
    folder: Annotated[Path, typer.Argument(help="Of the harvest; run again to go on.", show_default=False)],
    ids: Annotated[
        Path | None, typer.Option(help="File of article ids, one a line (PMC123).", show_default=False)
    ] = None,
    query: Annotated[
        str, typer.Option(help="Search term of Entrez, for instance 'ct[Title]'.", show_default=False)
    ] = "",
    inventory: Annotated[
        str, typer.Option(help="All of the bucket: a day (YYYY-MM-DD), or newest.", show_default=False)
    ] = "",
    mirror: Annotated[Path | None, typer.Option(help="A folder in the bucket's layout.", show_default=False)] = None,
    licence: Annotated[
        list[str] | None, typer.Option(help="Licence to take (repeat), or any. Default: CC0 and CC BY.")
    ] = None,
    keyword: Annotated[
        list[str] | None, typer.Option(help="One of them must stand in title, abstract, keywords or a caption.")
    ] = None,
    caption_keyword: Annotated[
        list[str] | None, typer.Option(help="One of them must stand in the figure's caption.")
    ] = None,
    since: Annotated[str, typer.Option(help="First date: YYYY, YYYY-MM or YYYY-MM-DD.", show_default=False)] = "",
    until: Annotated[str, typer.Option(help="Last date.", show_default=False)] = "",
    date: Annotated[
        str, typer.Option(help="Which date: published, changed (in the bucket), or released (with --query).")
    ] = "published",
    language: Annotated[list[str] | None, typer.Option(help="Two letters, or any. Default: en.")] = None,
    keep_retracted: Annotated[bool, typer.Option("--keep-retracted", help="Take retracted articles too.")] = False,
    keep_scanned: Annotated[bool, typer.Option("--keep-scanned", help="Take text recognised from scans too.")] = False,
    keep_third_party: Annotated[
        bool, typer.Option("--keep-third-party", help="Take figures reproduced with permission too.")
    ] = False,
    min_side: Annotated[int, typer.Option(help="Pixels of a picture's shorter side.")] = 32,
    max_pixels: Annotated[int | None, typer.Option(help="Of a picture. Default: 100 million.")] = None,
    around: Annotated[int, typer.Option(help="Sentences to keep before and after each mention.")] = 1,
    limit: Annotated[int | None, typer.Option(help="At most so many articles.", show_default=False)] = None,
    shard_articles: Annotated[int, typer.Option(help="Articles for each file of records.")] = 200,
    format: Annotated[str, typer.Option(help="Of those: jsonl or parquet.")] = "jsonl",
    update: Annotated[bool, typer.Option("--update", help="List again and fetch what has changed.")] = False,
    redo: Annotated[bool, typer.Option("--redo", help="Read all articles again.")] = False,
    workers: Annotated[int, typer.Option(help="Processes that read a mirror.")] = 2,
    rate: Annotated[float, typer.Option(help="Requests a second.")] = 5.0,
    connections: Annotated[int, typer.Option(help="Connections at a time.")] = 4,
    email: Annotated[str, typer.Option(help="Told to NCBI with a query.", show_default=False)] = "",
    url: Annotated[str, typer.Option(help="Of the bucket, or of a copy.", show_default=False)] = "",
    search_url: Annotated[str, typer.Option(help="Of ESearch.", show_default=False)] = "",
) -> None:
    """Figures, captions and mentions of PubMed Central's open-access articles, as record files.

    Exactly one of --ids, --query, --inventory and --mirror says where from. Only articles whose licence allows it are
    taken, none that is retracted. Credit each article and NLM; see docs/harvest.md.

    Examples:

      osler data harvest data/pmc --query '"chest radiograph"[Title]' --limit 500

      osler data harvest data/pmc --mirror /data/pmc-mirror --caption-keyword CT --caption-keyword MRI
    """
    from osler.sources.pmc.filters import Filters
    from osler.sources.pmc.licences import code_of
    from osler.sources.pmc.run import REJECTS, Settings
    from osler.sources.pmc_oa import Access, Selection
    from osler.sources.pmc_oa import harvest as run

    wheres = {"ids": ids, "query": query, "inventory": inventory, "mirror": mirror}
    given: list[tuple[Any, str]] = [(kind, str(value)) for kind, value in wheres.items() if value]
    if len(given) != 1:
        raise typer.BadParameter("name exactly one of --ids, --query, --inventory and --mirror")
    if date not in ("published", "changed", "released"):
        raise typer.BadParameter(f"{date!r} is unknown; want published, changed or released", param_hint="--date")
    kind, value = given[0]
    dates = {} if date == "published" else {f"{date}_since": since, f"{date}_until": until}
    selection = Selection(kind, "" if (kind, value) == ("inventory", "newest") else value, limit=limit, **dates)
    options: dict[str, Any] = {}
    if licence:
        options["licences"] = tuple(code if code == "any" else code_of(code) or code for code in licence)
    if language:
        options["languages"] = () if "any" in language else tuple(code.lower() for code in language)
    if max_pixels is not None:
        options["max_pixels"] = max_pixels
    filters = Filters(
        keep_retracted=keep_retracted,
        keep_scanned=keep_scanned,
        keep_third_party=keep_third_party,
        published_since=since if date == "published" else "",
        published_until=until if date == "published" else "",
        keywords=tuple(keyword or ()),
        caption_keywords=tuple(caption_keyword or ()),
        min_side=min_side,
        **options,
    )
    settings = Settings(filters, around, shard_articles, format)  # type: ignore[arg-type]  # it checks the format
    addresses: dict[str, Any] = {name: text for name, text in (("url", url), ("search_url", search_url)) if text}
    access = Access(email=email, rate=rate, connections=connections, **addresses)
    with _bars() as progress:
        summary = run(
            folder,
            selection,
            settings=settings,
            access=access,
            workers=workers,
            update=update,
            redo=redo,
            say=lambda text: typer.echo(text, err=True),
            progress=progress,
        )
    typer.echo(
        f"{summary.articles} articles, {summary.with_records} with records; {summary.figures} figures, "
        f"{summary.records} records in {len(summary.shards)} files of {folder / 'figures'}"
    )
    for code, count in sorted(summary.left_out.items(), key=lambda item: (-item[1], item[0])):
        typer.echo(f"  left out {count:>7}  {code}")
    if summary.older_versions:
        typer.echo(f"  {summary.older_versions} older versions were passed over")
    if summary.left_out:
        typer.echo(f"reasons: {folder / REJECTS}")
    if summary.unfetched:
        typer.echo(f"{summary.unfetched} articles could not be fetched for now: run the same command again")
    if summary.records:
        typer.echo(f"look:  osler data show {summary.shards[0]} --images {summary.images}")
    if summary.unfetched or not summary.records:
        raise typer.Exit(1)


def make_articles(
    folder: Annotated[Path, typer.Argument(help="New or empty.", show_default=False)],
    count: Annotated[int, typer.Option(help="Articles.")] = 200,
    captions: Annotated[
        Path | None, typer.Option(help="Folder with ROCO's captions.txt and licences.txt.", show_default=False)
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder of pictures to use; by default some are drawn.", show_default=False)
    ] = None,
    faults: Annotated[int, typer.Option(help="Broken articles besides, each in a way of its own.")] = 0,
    seed: Annotated[int, typer.Option(help="Fixes every byte.")] = 0,
) -> None:
    """Make articles in the bucket's layout, to rehearse a harvest with: `osler data harvest OUT --mirror FOLDER`.

    The articles are made up around captions; they are no research. With --captions the captions are ROCO's, otherwise
    they are of the phantom studies.
    """
    from osler.sources.pmc.made_articles import make

    with _bars() as progress:
        made = make(
            folder,
            count=count,
            captions=captions,
            pictures=pictures,
            faults=faults,
            seed=seed,
            advance=progress("articles", count),
        )
    typer.echo(f"{made.articles} articles with {made.pictures} pictures, {made.faults} broken ones: {folder}")
    typer.echo(f"harvest them:  osler data harvest OUT --mirror {folder}")


@contextmanager
def _bars() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Progress bars on stderr, one after the other."""
    from osler.evaluation.progress import progress_bar

    with ExitStack() as stack:

        def progress(label: str, total: int) -> Callable[[int], None]:
            stack.close()
            return stack.enter_context(progress_bar(label, total=total, show=True))

        yield progress
