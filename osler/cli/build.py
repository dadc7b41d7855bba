"""`osler build`: assemble a model from parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def build(
    out: Annotated[Path, typer.Argument(help="Folder to write the model to.")],
    vision: Annotated[str, typer.Option(help="Folder of a CLIP, SigLIP, DINOv2, ViT or grid encoder.")] = "default",
    language: Annotated[str, typer.Option(help="Folder of a causal language model.")] = "default",
    projector: Annotated[str, typer.Option(help="mlp, linear or dci.")] = "mlp",
    chat_template: Annotated[str, typer.Option(help="chatml, mistral, vicuna or keep.")] = "chatml",
    image_size: Annotated[int | None, typer.Option(help="Side in pixels; the encoder's own if not given.")] = None,
    seed: Annotated[int, typer.Option(help="Of the projector's initial weights.")] = 0,
) -> None:
    """Assemble a vision-language model from a vision encoder and a language model; its projector is untrained."""
    from osler.errors import ModelError
    from osler.training.recipe import ModelSection
    from osler.training.run import starting_model

    if out.exists() and any(out.iterdir()):
        raise ModelError(f"{out}: is not empty; choose another folder")
    section = ModelSection(
        vision=vision,
        language=language,
        projector=projector,  # type: ignore[arg-type]  # pydantic checks it
        chat_template=chat_template,
        image_size=image_size,
    )
    loaded = starting_model(section, seed=seed)
    loaded.save(out)
    total = sum(parameter.numel() for parameter in loaded.model.parameters())
    typer.echo(f"{out}: {type(loaded.model).__name__}, {total / 1e6:.1f} M parameters, projector untrained")
