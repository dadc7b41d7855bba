"""`osler chat`: talk with a model about images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

NOTICE = "Model output. Not for clinical use."


def chat(
    model: Annotated[str, typer.Argument(help="Model folder, for instance runs/demo/model.")],
    image: Annotated[
        list[Path] | None, typer.Option("--image", "-i", help="Image, DICOM or NIfTI file; may be repeated.")
    ] = None,
    ask: Annotated[str | None, typer.Option("--ask", "-a", help="Ask this, print the answer, and leave.")] = None,
    frame: Annotated[int | None, typer.Option(help="Frame or slice of the image, from 0.")] = None,
    window: Annotated[str | None, typer.Option(help="Intensity window: a preset such as lung, or LEVEL/WIDTH.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Length limit of an answer.")] = 128,
) -> None:
    """Ask a model about images: one question with --ask, or a conversation. An empty line or Ctrl-D ends it."""
    from osler.cli.quiet import quiet
    from osler.evaluation.runners import LocalRunner, Request
    from osler.images import load_image
    from osler.models import check_folder
    from osler.records import IMAGE_PLACEHOLDER, Turn

    check_folder(model)
    pictures = tuple(load_image(path, frame=frame, window=window).image for path in image or ())
    quiet()
    runner = LocalRunner(model, max_new_tokens=max_new_tokens, batch_size=1)
    turns: list[Turn] = []

    def answer(question: str) -> str:
        shown = "" if turns else (IMAGE_PLACEHOLDER + "\n") * len(pictures)
        turns.append(Turn(role="user", text=shown + question.replace(IMAGE_PLACEHOLDER, "")))
        text = runner.answer([Request(turns=tuple(turns), images=pictures)])[0].text
        turns.append(Turn(role="assistant", text=text))
        return text or "(the model ended its turn without a word)"

    if ask is not None:
        typer.echo(answer(ask))
        typer.echo(NOTICE, err=True)
        return
    interactive = sys.stdin.isatty()
    typer.echo(f"{model} with {len(pictures)} image(s). {NOTICE}", err=True)
    while True:
        try:
            question = input("> " if interactive else "").strip()
        except EOFError:
            break
        if not question:
            break
        typer.echo(answer(question))
