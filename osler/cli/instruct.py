"""`osler instruct`: records become instruction records."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osler.errors import RecordError

if TYPE_CHECKING:
    from osler.instruct.two_step import TwoStepWriter
    from osler.records import Record

KEY_VARIABLE = "OSLER_ENDPOINT_KEY"

app = typer.Typer(
    help="Write questions and answers for records, by templates or with a model behind an endpoint.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    pass


@app.command("abnormality")
def abnormality(
    records: Annotated[Path, typer.Argument(help="Record file whose records have regions.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Record file to write.", show_default=False)],
    images: Annotated[
        Path | None,
        typer.Option(help="Image folder (default: the folder of RECORDS); read with --endpoint.", show_default=False),
    ] = None,
    box_format: Annotated[str, typer.Option(help="How boxes are written; see docs/records.md.")] = "norm1000_xyxy",
    classes: Annotated[str, typer.Option(help="Comma list of labels to keep (default: all).")] = "",
    wording: Annotated[str, typer.Option(help="varied (training) or fixed (evaluation) questions.")] = "varied",
    given_region: Annotated[bool, typer.Option("--given-region", help="Ask what a given box holds.")] = False,
    no_negatives: Annotated[
        bool, typer.Option("--no-negatives", help="Leave out pictures without a region instead of calling them normal.")
    ] = False,
    max_regions: Annotated[
        int | None, typer.Option(min=1, help="Leave out pictures with more regions.", show_default=False)
    ] = None,
    synonyms: Annotated[
        Path | None, typer.Option(help="JSON file: label to list of other words for it.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of questions.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Write at most so many.", show_default=False)] = None,
    endpoint: Annotated[
        str,
        typer.Option(
            help=f"Let a model write the answers: base address of an OpenAI-compatible server. A key is taken from "
            f"{KEY_VARIABLE}."
        ),
    ] = "",
    model: Annotated[str, typer.Option(help="Name of the model there.")] = "",
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="The endpoint may be outside this machine and private network.")
    ] = False,
) -> None:
    """Ask where an abnormality lies and what it is, and answer from the regions of the records.

    Examples:

      osler instruct abnormality data/bccd/train.jsonl --out data/bccd/instruct.jsonl --classes WBC

      osler instruct abnormality data/kvasir/records.jsonl --out kvasir.jsonl --endpoint http://localhost:8000/v1
      --model qwen2-vl
    """
    from osler.evaluation.progress import progress_bar
    from osler.instruct.abnormality import abnormality_records
    from osler.record_files import read_records, write_records

    given = list(read_records(records))
    if not (no_negatives or given_region):
        _refuse_unboxed_sources(given, records)
    if out.resolve() == records.resolve():
        raise RecordError("is the input; write to another file with --out", path=out)
    writer = _writer(endpoint, model, out, images or records.parent, allow_remote) if endpoint else None
    skipped: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    try:
        made = abnormality_records(
            given,
            box_format=box_format,
            wording=wording,  # type: ignore[arg-type]
            seed=seed,
            negatives=not no_negatives,
            given_region=given_region,
            writer=writer,
            classes=[name.strip() for name in classes.split(",") if name.strip()],
            max_regions=max_regions,
            synonyms=None if synonyms is None else _synonyms(synonyms),
            on_skip=lambda record, reason: skipped.update([reason]),
        )
        with progress_bar("writing", total=limit or len(given), show=writer is not None) as advance:
            count = write_records(_counted(islice(made, limit), kinds, advance), out)
    finally:
        if writer is not None:
            writer.close()
    typer.echo(f"{out}: {count} records ({kinds['with']} with regions, {kinds['without']} without)")
    for reason, number in skipped.most_common():
        typer.echo(f"left out: {number} ({reason})")
    if writer is not None:
        told = ", ".join(f"{writer.counts[name]} {name}" for name in ("written", "reused", "failed"))
        typer.echo(f"endpoint: {told}" + (f"; reasons in {writer.rejects}" if writer.counts["failed"] else ""))
    if not count:
        raise typer.Exit(1)
    folder = images or records.parent
    if folder.resolve() != out.parent.resolve():
        typer.echo(f"note: image paths are relative to {folder}: pass it as the image folder")
    typer.echo(f"look:  osler data show {out} --images {folder}")


def _counted(records: Iterator[Record], kinds: Counter[str], advance: Any) -> Iterator[Record]:
    for record in records:
        kinds["with" if record.regions else "without"] += 1
        advance(1)
        yield record


def _refuse_unboxed_sources(records: list[Record], path: Path) -> None:
    """A source without any region does not say which of its pictures are normal."""
    boxed = {record.provenance.source for record in records if record.regions}
    for record in records:
        if record.provenance.source not in boxed:
            raise RecordError(
                f"no record of source {record.provenance.source!r} has a region, so all its pictures would be called "
                "normal; leave them out of the file, or use --no-negatives",
                path=path,
            )


def _writer(address: str, model: str, out: Path, images: Path, allow_remote: bool) -> TwoStepWriter:
    from osler.endpoint import ChatEndpoint
    from osler.instruct.two_step import TwoStepWriter

    if not model:
        raise typer.BadParameter("--endpoint needs --model NAME", param_hint="--model")
    endpoint = ChatEndpoint(address, model, api_key=os.environ.get(KEY_VARIABLE), allow_remote=allow_remote)
    return TwoStepWriter(
        endpoint,
        images,
        journal=out.with_name(out.name + ".answers.jsonl"),
        rejects=out.with_name(out.name + ".failures.jsonl"),
    )


def _synonyms(path: Path) -> dict[str, list[str]]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot be read as JSON ({error})", path=path) from error
    if not isinstance(table, dict) or not all(
        isinstance(words, list) and all(isinstance(word, str) and word.strip() for word in words)
        for words in table.values()
    ):
        raise RecordError('want {"label": ["other word", ...], ...}', path=path)
    return table
