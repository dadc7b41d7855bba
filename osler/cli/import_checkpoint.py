"""`osler import`: turn a published checkpoint into a plain Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osler.errors import ModelError


def import_checkpoint(
    source: Annotated[Path, typer.Argument(help="LLaVA-Med v1.5 folder, or the delta of v1.0.")],
    out: Annotated[Path, typer.Option(help="Folder to write the converted model to.")],
    base: Annotated[Path | None, typer.Option(help="LLaMA folder; needed for a v1.0 delta.")] = None,
    vision: Annotated[Path | None, typer.Option(help="CLIP folder; needed where the checkpoint holds none.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16; as stored if not given.")] = None,
) -> None:
    """Convert a published LLaVA-Med checkpoint so that transformers loads it."""
    from osler.models.published import detect_checkpoint, import_v10, import_v15

    kind = detect_checkpoint(source)
    if kind == "huggingface":
        raise ModelError(f"{source}: is a Hugging Face folder already; use it as it is")
    if kind == "llava_med_v1.5":
        report = import_v15(source, out, vision=vision, dtype=dtype)
    else:
        if vision is None:
            raise ModelError(f"{source}: a v1.0 checkpoint holds no vision encoder; give CLIP ViT-L/14 with --vision")
        report = import_v10(source, base, vision, out, dtype=dtype)
    typer.echo(
        f"{report.out}: {report.kind}, {report.tensors} tensors, {report.parameters / 1e6:.1f} M parameters in "
        f"{report.dtype}, {len(report.unused)} source tensors left out, {len(report.differences)} vision tensors differ"
    )
    for note in report.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"every tensor is accounted for in {report.save()}")
