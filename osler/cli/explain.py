"""`osler explain`: a picture of what a model looked at while it answered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    model: Annotated[str, typer.Argument(help="Model folder.")],
    image: Annotated[Path, typer.Option(help="Picture: PNG, JPEG, DICOM and others.")],
    ask: Annotated[str, typer.Option(help="Question.")] = (
        "Is there an abnormality in this image? If so, give its location and name it."
    ),
    out: Annotated[Path | None, typer.Option(help="PNG to write; by default beside the picture's name here.")] = None,
    words: Annotated[str, typer.Option(help="Only the tokens of these words of the answer, with commas between.")] = "",
    layers: Annotated[str, typer.Option(help="Layers, for instance 10-19 or 3,5; the middle third by default.")] = "",
    heads: Annotated[str, typer.Option(help="Heads, written the same way; all by default.")] = "",
    box_format: Annotated[str, typer.Option(help="Convention of the answer's boxes.")] = "norm1000_xyxy",
    frame: Annotated[int | None, typer.Option(help="Frame of a multi-frame file, from 0.")] = None,
    window: Annotated[str, typer.Option(help="Intensity window preset, for instance lung.")] = "",
    max_new_tokens: Annotated[int, typer.Option(help="Length limit of the answer.")] = 128,
) -> None:
    """Ask about a picture and write a PNG heat map of what the answer's tokens looked at, with the boxes it states."""
    from osler.cli.quiet import quiet
    from osler.explain.attention import explain as look
    from osler.explain.picture import save_explanation, summary
    from osler.images import load_image
    from osler.models import load_model

    quiet()
    read = numbers(layers, "--layers"), numbers(heads, "--heads")
    picture = load_image(image, frame=frame, window={"preset": window} if window else None).image
    explanation = look(
        load_model(model, dtype="float32"),
        picture,
        ask,
        words=[word.strip() for word in words.split(",") if word.strip()],
        layers=read[0],
        heads=read[1],
        box_format=box_format,
        max_new_tokens=max_new_tokens,
    )
    path = save_explanation(explanation, picture, out or Path(f"{image.stem}-explained.png"))
    typer.echo(f"answer:  {explanation.answer}")
    for rejected in explanation.boxes.rejected:
        typer.echo(f"not read as a box: {rejected.text} ({rejected.reason})")
    typer.echo(f"looked:  {summary(explanation)}\npicture: {path}   (model output, not for clinical use)")


def numbers(text: str, option: str) -> list[int] | None:
    """`3,5,8-10` as a list; None for an empty text.

    Raises:
        typer.BadParameter: when it is neither.
    """
    if not text.strip():
        return None
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise typer.BadParameter(f"{part!r} is no number or range such as 10-19", param_hint=option)
        found += range(int(first), int(last if dash else first) + 1)
    return found
