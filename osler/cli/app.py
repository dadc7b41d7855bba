"""Puts the verbs together. Each verb imports what it needs when it runs, so that `osler --help` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

import osler
from osler.cli import (
    build,
    chat,
    compare,
    data,
    demo,
    evaluate,
    explain,
    import_checkpoint,
    instruct,
    judge,
    study,
    train,
)

app = typer.Typer(
    name="osler",
    help="Train, evaluate and serve medical vision-language models. Not for clinical use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"osler {osler.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


app.command(name="demo")(demo.demo)
app.command(name="train")(train.train)
app.command(name="eval")(evaluate.evaluate)
app.command(name="judge")(judge.judge)
app.command(name="compare")(compare.compare)
app.command(name="chat")(chat.chat)
app.command(name="explain")(explain.explain)
app.add_typer(data.app, name="data")
app.add_typer(instruct.app, name="instruct")
app.add_typer(study.app, name="study")
app.command(name="build")(build.build)
app.command(name="import")(import_checkpoint.import_checkpoint)
