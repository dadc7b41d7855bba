"""An explanation as a picture."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from osler.explain.attention import Explanation, heat_on_image

if TYPE_CHECKING:
    from PIL.Image import Image

SHORTEST, LONGEST = 640, 1024  # pixels of the shown picture's long side


def save_explanation(explanation: Explanation, image: Image, path: str | Path) -> Path:
    """Write a PNG: the picture with the stated boxes, and the same under the heat map.

    Args:
        explanation: from `explain`.
        image: the picture that was asked about.
        path: of the PNG.
    """
    from matplotlib.figure import Figure

    from osler.images.draw_boxes import PREDICTED_COLOUR, draw_boxes

    path = Path(path)
    side = min(max(max(image.size), SHORTEST), LONGEST)  # lines and labels need pixels
    scale = side / max(image.size)
    shown = image.convert("RGB").resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    several = len(explanation.boxes.boxes) > 1
    labels = [
        label or (str(number) if several else "") for number, label in enumerate(explanation.boxes.labels, start=1)
    ]
    boxed = draw_boxes(shown, explanation.boxes.boxes, colour=PREDICTED_COLOUR, dashed=True, labels=labels)
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(boxed)
    left.set_title("boxes of the answer" if explanation.boxes.boxes else "no box in the answer", fontsize=9)
    heat = heat_on_image(explanation, *shown.size)
    right.imshow(
        draw_boxes(shown.convert("L").convert("RGB"), explanation.boxes.boxes, colour=PREDICTED_COLOUR, dashed=True)
    )
    drawn = right.imshow(heat * explanation.grid.tokens, cmap="magma", alpha=np.where(np.isnan(heat), 0.0, 0.55))
    figure.colorbar(drawn, ax=right, shrink=0.7, label="attention, 1 = an even share of all of it")
    what = f"the words {', '.join(explanation.words)}" if explanation.words else "the answer's tokens"
    right.set_title(f"what {what} looked at ({_span(explanation.layers)})", fontsize=9, parse_math=False)
    for axes in (left, right):
        axes.set_axis_off()
    figure.suptitle(
        f"Question: {_short(explanation.question)}\nAnswer: {_short(explanation.answer)}\n{summary(explanation)}",
        fontsize=9,
        parse_math=False,  # a model may write dollar signs
    )
    figure.supxlabel("Model output. Not for clinical use. Attention is a hint, not a reason.", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    figure.savefig(partial, dpi=120, format="png")
    partial.replace(path)
    return path


def summary(explanation: Explanation) -> str:
    """Where the attention went, in a sentence."""
    text = f"{explanation.on_picture:.0%} of the attention on the picture"
    if explanation.on_boxes is not None:
        text += (
            f", of which {explanation.on_boxes:.0%} in the stated boxes"
            f" ({explanation.share_of_boxes:.0%} if it looked everywhere alike)"
        )
    return text


def _short(text: str) -> str:
    return textwrap.fill(textwrap.shorten(text, 300), 120)


def _span(layers: tuple[int, ...]) -> str:
    if len(layers) == 1:
        return f"layer {layers[0]}"
    whole = layers == tuple(range(layers[0], layers[-1] + 1))
    return "layers " + (f"{layers[0]}-{layers[-1]}" if whole else ", ".join(map(str, layers)))
