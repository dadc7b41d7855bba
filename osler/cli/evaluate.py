"""`osler eval`: ask a model a benchmark's questions, or score a file of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from osler.cli.instruct import KEY_VARIABLE
from osler.errors import EvaluationError


def evaluate(
    model: Annotated[
        str,
        typer.Argument(help="Model folder, PEFT adapter folder or hub name; leave out with --endpoint or --answers."),
    ] = "",
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
    endpoint: Annotated[
        str, typer.Option(help=f"Ask the model at this OpenAI-compatible address. A key is taken from {KEY_VARIABLE}.")
    ] = "",
    model_name: Annotated[str, typer.Option(help="Name of the model at the endpoint, if it has several.")] = "",
    server: Annotated[
        str, typer.Option(help="Start this command, ask once the endpoint answers, end it: 'vllm serve DIR --port N'.")
    ] = "",
    concurrency: Annotated[int, typer.Option(help="Requests under way at the endpoint.")] = 16,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="The endpoint may be outside this machine.")
    ] = False,
    decoding: Annotated[
        str, typer.Option(help="generate, or options: answer with the likeliest of an item's options.")
    ] = "generate",
    device: Annotated[str, typer.Option(help="Torch device of the model; a GPU if there is one.")] = "",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16; float32 on a CPU.")] = "",
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
    if sum(map(bool, (model, answers, endpoint))) != 1:
        raise EvaluationError("give one of: a model (folder or hub name), --endpoint URL, --answers FILE")
    assert data is not None
    assert out is not None
    chosen = tasks.get(task)
    conventions: tuple[str, ...] = (convention or chosen.conventions[0],)
    if convention == "all":
        from osler.cli.task_list import with_records

        conventions = with_records(chosen, data, split)
    for name in conventions:
        folder = out / name if len(conventions) > 1 else out
        common: dict[str, Any] = {"data": data, "split": split, "convention": name, "seed": seed}
        common |= {"box_format": box_format or None, "image_folder": images}
        result: Any
        if answers:
            from osler.evaluation import score_answers

            result = score_answers(
                answers, chosen, allow_incomplete=allow_incomplete, id_prefix=id_prefix, out=folder, **common
            )
        else:
            from osler.cli.answering import asked_model
            from osler.cli.quiet import quiet
            from osler.evaluation.run import evaluate as run

            quiet()
            wanted = None if not controls else () if controls == "none" else tuple(controls.split(","))
            if server:  # minutes until it answers: faults of the data come first
                from osler.evaluation.plan import make_plan

                make_plan(chosen, limit=limit, controls=wanted, training=None, **common)  # type: ignore[arg-type]
            place: dict[str, Any] = {
                "endpoint": endpoint,
                "model_name": model_name,
                "server": server,
                "log": folder / "server.log",
            }
            limit_of_answer = chosen.max_new_tokens if max_new_tokens is None else max_new_tokens
            with asked_model(
                model, max_new_tokens=limit_of_answer, concurrency=concurrency, allow_remote=allow_remote, **place
            ) as asked:
                result = run(
                    asked,
                    chosen,
                    limit=limit,
                    batch_size=concurrency if endpoint else batch_size,
                    max_new_tokens=limit_of_answer,
                    orders=orders,
                    controls=wanted,  # type: ignore[arg-type]  # checked there
                    decoding=decoding,  # type: ignore[arg-type]  # checked there
                    device=device or None,
                    dtype=dtype or None,
                    resume=not fresh,
                    out=folder,
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
