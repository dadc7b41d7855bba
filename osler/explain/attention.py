"""Ask a model about a picture and read what the tokens of its answer looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from osler.box_formats import ParsedBoxes, parse_boxes
from osler.errors import ModelError
from osler.models.patch_grid import PatchGrid, patch_grid
from osler.records import IMAGE_PLACEHOLDER, Turn

if TYPE_CHECKING:
    from PIL.Image import Image

    from osler.models.load import LoadedModel

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An answer and where its tokens looked.

    Args:
        question: as asked.
        answer: of the model.
        words: the part of the answer whose tokens were read; all of it when empty.
        heat: share of the tokens' attention on each patch, shape (rows, columns): the mean over tokens, layers, heads.
        on_picture: its sum: the share of all attention that the picture got.
        grid: where the patches lie on the stored picture.
        boxes: that the answer states.
        layers: of the language model that were read.
    """

    question: str
    answer: str
    words: tuple[str, ...]
    heat: Array
    on_picture: float
    grid: PatchGrid
    boxes: ParsedBoxes
    layers: tuple[int, ...]

    @property
    def on_boxes(self) -> float | None:
        """Share of the attention on the picture that lies in the stated boxes; None when there are none."""
        region = sorted(self.grid.region(self.boxes.boxes))
        return float(self.heat.ravel()[region].sum() / max(self.on_picture, 1e-12)) if region else None

    @property
    def share_of_boxes(self) -> float | None:
        """Share of the patches in the stated boxes: `on_boxes` of a model that looks everywhere alike."""
        region = self.grid.region(self.boxes.boxes)
        return len(region) / self.grid.tokens if region else None


def explain(
    loaded: LoadedModel,
    image: Image,
    question: str,
    *,
    words: Sequence[str] = (),
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    box_format: str = "norm1000_xyxy",
    max_new_tokens: int = 128,
) -> Explanation:
    """Ask, then read the attention of the answer's tokens in one more pass.

    Attention says where a layer took information from, not why the answer is what it is: read it as a hint.

    Args:
        loaded: model and processor.
        image: the picture, RGB.
        question: without image placeholder.
        words: read only the tokens of these words of the answer; all tokens by default.
        layers: of the language model; the middle third by default.
        heads: all by default.
        box_format: convention of the answer's boxes.
        max_new_tokens: length limit of the answer.

    Raises:
        ModelError: when the answer is empty or holds none of the words, or the picture's tokens form no grid.
    """
    from osler.evaluation.runners import LocalRunner, Request
    from osler.messages import to_messages, with_image
    from osler.models.attention_rows import attention_rows
    from osler.models.language import image_positions
    from osler.models.prompt_inputs import joined_inputs

    turn = Turn(role="user", text=f"{IMAGE_PLACEHOLDER}\n{question}")
    runner = LocalRunner((loaded.model, loaded.processor), max_new_tokens=max_new_tokens)
    answer = runner.answer([Request(turns=(turn,), images=(image,))])[0].text
    ids = loaded.tokenizer(answer, add_special_tokens=False)["input_ids"]
    rows = _rows(loaded.tokenizer, answer, ids, words)
    inputs, starts = joined_inputs(loaded.processor, [with_image(to_messages((turn,)), image)], [ids])
    inputs = {name: value.to(loaded.model.device) for name, value in inputs.items()}
    read = attention_rows(loaded.model, inputs, [[starts[0] + row for row in rows]], layers=layers, heads=heads)
    places = image_positions(loaded.model, inputs["input_ids"])[0]
    grids = inputs.get("image_grid_thw")
    grid = patch_grid(
        loaded.processor,
        *image.size,
        tokens=int(places.sum()),
        grid_thw=None if grids is None else grids[0].tolist(),
    )
    heat = read.maps[0].mean((0, 1))[places].double().cpu().numpy().reshape(grid.rows, grid.columns)
    return Explanation(
        question=question,
        answer=answer,
        words=tuple(words),
        heat=heat,
        on_picture=float(heat.sum()),
        grid=grid,
        boxes=parse_boxes(answer, format=box_format, width=image.width, height=image.height),
        layers=read.layers,
    )


def _rows(tokenizer: Any, answer: str, ids: Sequence[int], words: Sequence[str]) -> list[int]:
    from osler.word_spans import find_names, token_spans, tokens_of

    if not ids:
        raise ModelError("the model gave an empty answer: there is nothing to explain")
    if not words:
        return list(range(len(ids)))
    spans = token_spans(ids, lambda part: tokenizer.decode(list(part), skip_special_tokens=True))
    found = tokens_of(find_names(tokenizer.decode(list(ids), skip_special_tokens=True), list(words)), spans)
    if not found:
        raise ModelError(f"the answer {answer!r} holds none of the words {', '.join(words)}")
    return found


def heat_on_image(explanation: Explanation, width: int, height: int) -> Array:
    """The heat map on the stored picture's pixels, smooth between patches; NaN where a crop cut the picture off.

    Args:
        explanation: from `explain`.
        width: of the picture, in pixels.
        height: of the picture.

    Returns:
        Shape (height, width); a value is the share of attention of the patch there.
    """
    from scipy.ndimage import map_coordinates

    grid = explanation.grid
    ax, bx, ay, by = grid.transform.affine()
    seen_width, seen_height = grid.transform.size
    across = ((np.arange(width) + 0.5) * grid.transform.width / width * ax + bx) / seen_width * grid.columns
    down = ((np.arange(height) + 0.5) * grid.transform.height / height * ay + by) / seen_height * grid.rows
    rows, columns = np.meshgrid(down - 0.5, across - 0.5, indexing="ij")
    values = map_coordinates(explanation.heat, [rows, columns], order=1, mode="nearest")
    outside = (down < 0)[:, None] | (down > grid.rows)[:, None] | (across < 0) | (across > grid.columns)
    return np.where(outside, np.nan, values)
