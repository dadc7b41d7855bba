"""Vision relevance reward: how much the words that name the abnormality look at the abnormal region.

UMed-LVLM's formula divides the attention on the region by the attention on the same region, which is constant whatever
the model looks at. Here the denominator is what it must be: all keys that a token may attend to. See docs/rewards.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from osler.errors import ModelError
from osler.messages import with_image
from osler.models.patch_grid import Rule, any_seen, patch_grid
from osler.training.rewards.base import boxes_of, completion_text
from osler.word_spans import Span, class_names, mentions, token_spans, tokens_of

if TYPE_CHECKING:
    from torch import Tensor

Denominator = Literal["all", "image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevanceSettings:
    """What is read and how it is summed up.

    Args:
        layers: of the language model; the middle third when left out.
        heads: indices; all when left out.
        denominator: "all": the share of everything a token may attend to; "image": of the picture alone.
        rule: which patches belong to a box, see `PatchGrid.region`.
        shifted: read the positions that predict the class tokens instead of those that hold them.
        batch_size: sequences in one forward pass.
    """

    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    denominator: Denominator = "all"
    rule: Rule = "centre"
    shifted: bool = False
    batch_size: int = 16


class VisionRelevance:
    """Attention mass of the class tokens on the patches of the true region.

    The mean over the tokens T that name a true class, over layers and heads, of `Σ_{j∈R} A_ij`, where A is the
    post-softmax attention over all permitted keys and R the image tokens in the true boxes. Between 0 and 1; by a model
    that looks everywhere alike it is |R| / keys. A completion that names no true class gets 0; every completion to a
    record without region, or whose region a crop cut off, gets None. It is a mean, so repeating a class gains nothing.
    What names a class is what the protocols `recognition-*` say.

    Attention is that of the policy itself, in one pass over prompt and completion without gradient, in which only the
    rows of T are computed (`osler.models.attention_rows`).

    Args:
        model: the policy, also wrapped by PEFT (adapters are active); read anew at each call.
        processor: of the model.
        settings: layers, heads and the like.
        classes: all known classes: a true one does not count where it stands inside the name of a longer one.

    Columns: `boxes`, `size`, `category` (a class or a list of them), perhaps `synonyms`, and the images in `images` or
    `image`.
    """

    def __init__(
        self, model: Any, processor: Any, settings: RelevanceSettings | None = None, *, classes: Sequence[str] = ()
    ) -> None:
        self.__name__ = "relevance"
        self.model, self.processor = model, processor
        self.settings = settings or RelevanceSettings()
        self.classes = tuple(classes)
        self.by_layer: dict[int, float] = {}
        """Mean of the last call for each layer, for logs."""

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        *,
        completion_ids: Sequence[Sequence[int]],
        boxes: Sequence[Sequence[Sequence[float]]],
        size: Sequence[Sequence[int]],
        category: Sequence[str | Sequence[str]],
        synonyms: Sequence[Sequence[str]] | None = None,
        images: Sequence[Sequence[Any]] | None = None,
        image: Sequence[Any] | None = None,
        log_metric: Any = None,
        **_: Any,
    ) -> list[float | None]:
        """Relevance of each completion.

        Raises:
            ModelError: when a picture's tokens form no grid, or the model's attention cannot be read.
        """
        shown = [list(part) for part in images] if images is not None else [[one] for one in image or ()]
        if len(shown) != len(completions) or any(len(part) != 1 for part in shown):
            raise ModelError("vision relevance needs one picture a completion, in the column `images` or `image`")
        rows = []
        for number, ids in enumerate(completion_ids):
            named = category[number]
            known = class_names([named] if isinstance(named, str) else named, synonyms[number] if synonyms else ())
            rows.append(self._class_tokens(ids, completion_text(completions[number]), known))
        values: list[float | None] = [0.0] * len(completions)
        layers: dict[int, list[float]] = {}
        for number in range(len(values)):
            true = boxes_of(boxes[number], size[number])
            if not any_seen(self.processor, true):  # whatever the completion says: groups stay comparable
                values[number] = None
        wanted = [number for number, tokens in enumerate(rows) if tokens and values[number] is not None]
        for start in range(0, len(wanted), self.settings.batch_size):
            part = wanted[start : start + self.settings.batch_size]
            found = self._pass(
                [with_image(prompts[number], shown[number][0]) for number in part],
                [list(completion_ids[number]) for number in part],
                [rows[number] for number in part],
                [boxes_of(boxes[number], size[number]) for number in part],
                [size[number] for number in part],
                layers,
            )
            for number, value in zip(part, found, strict=True):
                values[number] = value
        self.by_layer = {layer: sum(seen) / len(seen) for layer, seen in layers.items()}
        if log_metric is not None:
            for layer, mean in self.by_layer.items():
                log_metric(f"relevance/layer_{layer}", mean)
        return values

    def _class_tokens(self, ids: Sequence[int], text: str, names: Sequence[str]) -> list[int]:
        """Indices, within a completion, of the tokens that name a class."""
        if not self.named(text, names):  # most texts of an untrained model
            return []
        decode = self.processor.tokenizer.decode
        tokens = token_spans(ids, lambda part: decode(list(part), skip_special_tokens=True))
        whole = decode(list(ids), skip_special_tokens=True)
        return tokens_of(self.named(whole, names), tokens)

    def named(self, text: str, names: Sequence[str]) -> list[Span]:
        """Characters of a text that name a class of `names`, by the rule of the protocols `recognition-*`."""
        known = tuple(dict.fromkeys((*names, *self.classes)))
        return [(start, end) for name, start, end in mentions(text, known) if name in names]

    def _pass(
        self,
        prompts: list[Any],
        completions: list[list[int]],
        tokens: list[list[int]],
        boxes: list[Any],
        sizes: list[Sequence[int]],
        layers: dict[int, list[float]],
    ) -> list[float]:
        from osler.models.attention_rows import attention_rows
        from osler.models.language import image_positions, unwrap
        from osler.models.prompt_inputs import joined_inputs

        inputs, starts = joined_inputs(self.processor, prompts, completions)
        device = unwrap(self.model).device
        inputs = {name: value.to(device) for name, value in inputs.items()}
        back = 1 if self.settings.shifted else 0
        wanted = [[start + index - back for index in part] for start, part in zip(starts, tokens, strict=True)]
        read = attention_rows(self.model, inputs, wanted, layers=self.settings.layers, heads=self.settings.heads)
        on_image = image_positions(self.model, inputs["input_ids"])
        grids = inputs.get("image_grid_thw")
        found = []
        for number, map_LRK in enumerate(read.maps):
            places = on_image[number].nonzero()[:, 0]
            grid = patch_grid(
                self.processor,
                *(int(side) for side in sizes[number]),
                tokens=len(places),
                grid_thw=None if grids is None else grids[number].tolist(),
            )
            region = sorted(grid.region(boxes[number], rule=self.settings.rule))
            assert region, "a box that is seen has a patch"
            by_layer = attention_mass(map_LRK, places, places[region], denominator=self.settings.denominator)
            for layer, value in zip(read.layers, by_layer.tolist(), strict=True):
                layers.setdefault(layer, []).append(value)
            found.append(float(by_layer.mean()))
        return found


def attention_mass(map_LRK: Tensor, image_P: Tensor, region_N: Tensor, *, denominator: Denominator = "all") -> Tensor:
    """Share of attention on a region, for each layer (L): the mean over rows of the mass on the region's keys.

    Args:
        map_LRK: attention of R tokens over K keys, each row summing to 1 over what it may attend to.
        image_P: positions of the image tokens among the keys.
        region_N: positions of the region's tokens among the keys.
        denominator: "all": every key; "image": the image tokens only.
    """
    mass_LR = map_LRK[..., region_N].sum(-1)
    if denominator == "image":
        mass_LR = mass_LR / map_LRK[..., image_P].sum(-1).clamp(min=torch.finfo(torch.float32).tiny)
    return mass_LR.mean(-1).clamp(0.0, 1.0)
