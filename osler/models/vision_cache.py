"""Remember what a frozen vision encoder said about a picture.

Medical question answering asks many questions about one picture, epochs repeat them all, and controls show them
again. A frozen encoder gives the same features each time, so they are computed once and kept in memory. Pictures go
through the encoder one by one, so that features do not depend on what else was in the batch: a resumed run, which
meets the pictures in other company, still gets the same bits.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling


class VisionCache:
    """Keeps the feature layers that LLaVA reads, keyed by the pixels.

    Args:
        tower: a vision encoder with `hidden_states` in its output; nothing in it may be trainable.
        layers: indices of the hidden states to keep.
        limit_bytes: memory for features; the least recently used go first.
    """

    def __init__(self, tower: torch.nn.Module, layers: tuple[int, ...], *, limit_bytes: int = 2**31) -> None:
        assert not any(parameter.requires_grad for parameter in tower.parameters())
        self.tower, self.layers, self.limit_bytes = tower, layers, limit_bytes
        self.used_bytes = self.hits = self.misses = 0
        self._kept: OrderedDict[bytes, tuple[Tensor, ...]] = OrderedDict()
        self._forward = tower.forward

    def __call__(self, pixel_values: Tensor, **options: Any) -> BaseModelOutputWithPooling:
        """Features of a batch, as the encoder returns them, but only the layers that are read.

        Args:
            pixel_values: (B, 3, H, W).
            **options: for the encoder.
        """
        rows = [self._features(picture, options) for picture in pixel_values]
        count = max(max(layer, -layer - 1) for layer in self.layers) + 1
        states: list[Any] = [None] * count
        for number, layer in enumerate(self.layers):
            stacked = torch.stack([row[number] for row in rows])
            states[layer] = stacked
        last = states[self.layers[-1]]
        return BaseModelOutputWithPooling(last_hidden_state=last, hidden_states=tuple(states))

    def _features(self, picture: Tensor, options: dict[str, Any]) -> tuple[Tensor, ...]:
        key = hashlib.blake2b(picture.detach().cpu().contiguous().view(torch.uint8).numpy(), digest_size=16).digest()
        found = self._kept.get(key)
        if found is not None:
            self.hits += 1
            self._kept.move_to_end(key)
            return found
        self.misses += 1
        with torch.no_grad():
            output = self._forward(picture[None], **{**options, "output_hidden_states": True})
        found = tuple(output.hidden_states[layer][0].clone() for layer in self.layers)
        self._kept[key] = found
        self.used_bytes += sum(value.nbytes for value in found)
        while self.used_bytes > self.limit_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self.used_bytes -= sum(value.nbytes for value in oldest)
        return found


@contextmanager
def cached_vision(model: Any, *, limit_bytes: int = 2**31) -> Iterator[VisionCache | None]:
    """Put a cache in front of a frozen LLaVA vision tower for the time of a `with` block.

    Does nothing, and yields None, where it cannot help or would be wrong: a trainable tower, a model family other than
    LLaVA's, or a GPU, whose encoder wants big batches.

    Args:
        model: a vision-language model, perhaps wrapped by PEFT.
        limit_bytes: memory for features.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    tower: Any = getattr(getattr(base, "model", None), "vision_tower", None)
    layers: Any = getattr(base.config, "vision_feature_layer", None)
    usable = (
        tower is not None
        and layers is not None
        and base.config.model_type == "llava"
        and base.device.type == "cpu"
        and not any(parameter.requires_grad for parameter in tower.parameters())
    )
    if not usable:
        yield None
        return
    cache = VisionCache(tower, (layers,) if isinstance(layers, int) else tuple(layers), limit_bytes=limit_bytes)
    tower.forward = cache
    try:
        yield cache
    finally:
        del tower.forward  # the class's own again
