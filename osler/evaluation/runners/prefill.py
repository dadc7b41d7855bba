"""What prompts leave in the key-value cache; the part that prompts about one image share is computed once.

A prompt about an image begins with the same tokens whatever is asked: the opening of the template and the image. That
prefix goes through the model once for each image, and its keys and values are copied to the rows of all its questions;
only the rest of each prompt is computed for itself. Rests of different length are padded on the left, between prefix
and rest, masked, and position ids count tokens without padding: each row sees what it would see alone.

Source: the sharing is that of prefix caching in serving engines (vLLM, arXiv 2309.06180 section 4.4), inside one batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from osler.evaluation.runners.prompts import Prompt

SHARING = frozenset({"llava", "osler_llava"})
"""Model types whose positions are a plain count and whose images are only seen through their own tokens."""

_Key = tuple[tuple[bytes, ...], tuple[int, ...]]
_Rows = list[tuple[Tensor, Tensor]]


@dataclass(slots=True)
class Prefilled:
    """B prompts in the cache, ready for their next token.

    Args:
        cache: keys and values of T positions.
        mask: (B, T), 0 where a row is padded.
        positions: (B,) position of the next token of each row.
        logits: (B, V) in float32, of the next token.
    """

    cache: Any
    mask: Tensor
    positions: Tensor
    logits: Tensor

    def select(self, rows: Sequence[int]) -> Prefilled:
        """Some rows, each as often as it is named; this object stays as it is."""
        from transformers import DynamicCache

        index = torch.tensor(list(rows), device=self.mask.device)
        cache = DynamicCache()
        for number, layer in enumerate(self.cache.layers):
            cache.update(layer.keys[index], layer.values[index], number)
        return Prefilled(cache, self.mask[index], self.positions[index], self.logits[index])


def can_share(model: Any) -> bool:
    """Whether a model's prefixes can be copied from row to row."""
    text = model.config.get_text_config()
    return model.config.model_type in SHARING and not getattr(text, "sliding_window", None)


class Prefiller:
    """Runs prompts through a model.

    Prefixes of the last call are kept for the next one, where the questions about an image go on.

    Args:
        model: of which `can_share` holds.
        share: False computes every prompt for itself, to compare with.
    """

    def __init__(self, model: Any, *, share: bool = True) -> None:
        self.model, self.share = model, share
        self._image_token = model.config.image_token_id
        self._kept: dict[_Key, _Rows] = {}
        self.shared_tokens = 0
        """Prompt tokens that were not computed because another row had them."""

    def __call__(self, prompts: Sequence[Prompt]) -> list[tuple[list[int], Prefilled]]:
        """Fill caches.

        Args:
            prompts: either all with images or all without.

        Returns:
            Parts: positions of their prompts, and what those left. Prompts with prefixes of different length, and those
            that share nothing, come apart from the others.
        """
        lengths = [prompt.prefix(self._image_token) for prompt in prompts]
        # a prompt that ends with its image has no rest, and is computed whole
        lengths = [length if length < len(p.ids) else 0 for length, p in zip(lengths, prompts, strict=True)]
        keys: list[_Key] = [
            (prompt.pictures, tuple(prompt.ids[:length])) for prompt, length in zip(prompts, lengths, strict=True)
        ]
        shared, alone = self._split(lengths, keys)
        parts = []
        if shared:
            parts.append((shared, self._with_prefix([prompts[i] for i in shared], [keys[i] for i in shared])))
        else:
            self._kept = {}
        if alone:
            parts.append((alone, self._whole([prompts[i] for i in alone])))
        return parts

    def _split(self, lengths: list[int], keys: list[_Key]) -> tuple[list[int], list[int]]:
        everyone = list(range(len(keys)))
        if not self.share or not any(lengths):
            return [], everyone
        usual = Counter(lengths).most_common(1)[0][0]
        same = [i for i in everyone if lengths[i] == usual]
        new = {keys[i] for i in same} - self._kept.keys()
        if not usual or len(new) == len(same):
            return [], everyone
        return same, [i for i in everyone if lengths[i] != usual]

    def _with_prefix(self, prompts: list[Prompt], keys: list[_Key]) -> Prefilled:
        from transformers import DynamicCache

        new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._kept}
        self._kept = {key: rows for key, rows in self._kept.items() if key in set(keys)}
        length = len(keys[0][1])
        if new:
            ids = torch.tensor([list(key[1]) for key in new], device=self.model.device)
            filled = self._forward(ids, torch.ones_like(ids), pixels=_pixels(list(new.values())))
            for row, key in enumerate(new):
                self._kept[key] = [(layer.keys[row], layer.values[row]) for layer in filled.past_key_values.layers]
        self.shared_tokens += length * (len(prompts) - len(new))
        cache = DynamicCache()
        for number in range(len(self._kept[keys[0]])):
            rows = [self._kept[key][number] for key in keys]
            cache.update(torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows]), number)
        ids, mask = self._padded([prompt.ids[length:] for prompt in prompts])
        mask = torch.cat([mask.new_ones(len(prompts), length), mask], 1)
        return self._filled(ids, mask, cache=cache)

    def _whole(self, prompts: list[Prompt]) -> Prefilled:
        ids, mask = self._padded([prompt.ids for prompt in prompts])
        return self._filled(ids, mask, pixels=_pixels(prompts))

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        # the mask hides padding whatever it is, but an image token would ask for an image
        return _left_padded(rows, pad=int(self._image_token == 0), device=self.model.device)

    def _filled(self, ids: Tensor, mask: Tensor, *, cache: Any = None, pixels: Tensor | None = None) -> Prefilled:
        output = self._forward(ids, mask, cache=cache, pixels=pixels)
        return Prefilled(output.past_key_values, mask, mask.sum(1), output.logits[:, -1].float())

    def _forward(self, ids: Tensor, mask: Tensor, *, cache: Any = None, pixels: Tensor | None = None) -> Any:
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        images = {} if pixels is None else {"pixel_values": pixels.to(self.model.device, self.model.dtype)}
        return self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1, **images,
        )  # fmt: skip


def _pixels(prompts: Sequence[Prompt]) -> Tensor | None:
    shown = [prompt.pixels for prompt in prompts if prompt.pixels is not None]
    return torch.cat(shown) if shown else None


def _left_padded(rows: Sequence[Sequence[int]], *, pad: int, device: Any) -> tuple[Tensor, Tensor]:
    """(B, T) ids and mask."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*([pad] * (longest - len(row))), *row] for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask
