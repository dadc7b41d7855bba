"""What chosen tokens of a sequence look at, without the attention maps of all the others.

Attention maps of a whole sequence are as large as the sequence squared, for every head and layer. A question such as
"how much did the word *cyst* look at the lesion" needs a few rows of them. While a model runs, its attention function
(transformers' `AttentionInterface`) is replaced by one that computes the layer as always and, from the very queries and
keys of the layer, position encoding and grouped heads included, also those rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from osler.errors import ModelError
from osler.models.language import language_model, unwrap

NAME = "osler_attention_rows"
_CHUNK = 64  # rows at a time


@dataclass(frozen=True, slots=True)
class AttentionRows:
    """Attention of chosen tokens over all keys they may attend to.

    Args:
        layers: indices of the layers read.
        maps: for each sequence (L, R, K): post-softmax attention of its R rows over the K keys, the mean over heads;
            each row sums to 1.
    """

    layers: tuple[int, ...]
    maps: list[Tensor]


def layer_count(model: Any) -> int:
    """Number of layers of the language model."""
    return int(unwrap(model).config.get_text_config().num_hidden_layers)


def middle_third(model: Any) -> tuple[int, ...]:
    """Layers of the middle third, where vision-language models join picture and text; at least one."""
    count = layer_count(model)
    first = count // 3
    return tuple(range(first, max(first + 1, count - count // 3)))


def attention_rows(
    model: Any,
    inputs: Mapping[str, Any],
    rows: Sequence[Sequence[int]],
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> AttentionRows:
    """Run a model once and read the attention of some positions.

    Args:
        model: a vision-language model, also wrapped (PEFT: adapters stay active).
        inputs: of one forward pass: `input_ids` (B, T), `attention_mask`, image tensors.
        rows: for each of the B sequences, the positions whose attention is wanted.
        layers: of the language model; the middle third by default.
        heads: indices of the heads to average; all by default.

    Returns:
        Maps in float32, on the model's device, without gradient.

    Raises:
        ModelError: for a layer or head that does not exist, or a family whose attention is not reached by
            transformers' interface.
    """
    chosen = middle_third(model) if layers is None else tuple(layers)
    _check(model, chosen, heads)
    base = unwrap(model)
    recorder = _Recorder(chosen, heads, [list(part) for part in rows])
    was_training = base.training
    base.eval()
    try:
        with torch.no_grad(), _installed(model, recorder):
            # without the output layer: its logits would be the largest tensor of the pass
            (base.model if hasattr(base, "model") else base)(**inputs, use_cache=False)
    finally:
        base.train(was_training)
    absent = [layer for layer in chosen if layer not in recorder.found]
    if absent:
        raise ModelError(f"{type(base).__name__}: layers {absent} did not go through transformers' attention interface")
    count = len(recorder.rows)
    return AttentionRows(
        chosen, [torch.stack([recorder.found[layer][number] for layer in chosen]) for number in range(count)]
    )


def _check(model: Any, layers: Sequence[int], heads: Sequence[int] | None) -> None:
    config = unwrap(model).config.get_text_config()
    for name, wanted, count in (
        ("layer", layers, config.num_hidden_layers),
        ("head", heads or (), config.num_attention_heads),
    ):
        wrong = [number for number in wanted if not 0 <= number < count]
        if wrong:
            raise ModelError(f"{name} {wrong[0]} does not exist; the language model has {count}, counted from 0")
    if not layers or (heads is not None and not heads):
        raise ModelError("name at least one layer and one head")


class _Recorder:
    """Keeps the rows of the chosen layers of one pass."""

    def __init__(self, layers: Sequence[int], heads: Sequence[int] | None, rows: list[list[int]]) -> None:
        self.layers, self.heads, self.rows = frozenset(layers), heads, rows
        self.found: dict[int, list[Tensor]] = {}

    def read(
        self, layer: int, query: Tensor, key: Tensor, mask: Tensor | None, *, scaling: float, softcap: float | None
    ) -> None:
        """Compute the rows of one layer from query (B, H, T, D) and key (B, H/groups, T, D)."""
        if layer not in self.layers:
            return
        groups = query.shape[1] // key.shape[1]
        found = []
        for number, rows in enumerate(self.rows):
            keys = key[number].repeat_interleave(groups, dim=0)
            queries = query[number]
            if self.heads is not None:
                keys, queries = keys[list(self.heads)], queries[list(self.heads)]
            parts = [
                self._rows(queries, keys, _row_mask(mask, number, chunk), chunk, scaling=scaling, softcap=softcap)
                for chunk in (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
            ]
            found.append(torch.cat(parts) if parts else queries.new_zeros((0, keys.shape[1]), dtype=torch.float32))
        self.found[layer] = found

    @staticmethod
    def _rows(
        query_HTD: Tensor,
        key_HKD: Tensor,
        mask_RK: Tensor | None,
        rows: Sequence[int],
        *,
        scaling: float,
        softcap: float | None,
    ) -> Tensor:
        scores = query_HTD[:, list(rows)].float() @ key_HKD.float().transpose(1, 2) * scaling
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        if mask_RK is None:  # the fused kernel was told "causal" instead of being given a mask
            positions = torch.arange(key_HKD.shape[1], device=scores.device)
            mask_RK = positions[None] <= torch.tensor(rows, device=scores.device)[:, None]
        if mask_RK.dtype == torch.bool:
            scores = scores.masked_fill(~mask_RK, -torch.inf)
        else:
            scores = scores + mask_RK.float()
        return scores.softmax(-1).mean(0)


def _row_mask(mask: Tensor | None, number: int, rows: Sequence[int]) -> Tensor | None:
    """Mask (R, K) of some rows of a sequence, from (B or 1, 1, T, K)."""
    if mask is None:
        return None
    return mask[number if mask.shape[0] > 1 else 0, 0][list(rows)]


_active: list[_Recorder] = []


def _attention(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """The usual fused attention, and the rows of the active recorder."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if kwargs.get("s_aux") is not None or kwargs.get("position_bias") is not None:
        raise ModelError(f"{type(module).__name__}: attention with sinks or position biases cannot be read")
    layer, softcap = getattr(module, "layer_idx", None), kwargs.pop("softcap", None)
    if layer is None:
        raise ModelError(f"{type(module).__name__}: does not know its layer, so its attention cannot be read")
    scaling = kwargs.get("scaling")
    scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    if _active:
        _active[-1].read(int(layer), query, key, attention_mask, scaling=scale, softcap=softcap)
    if softcap is not None:
        return _capped(query, key, value, attention_mask, scaling=scale, softcap=softcap), None
    return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)


def _capped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, scaling: float, softcap: float
) -> Tensor:
    """Attention with capped scores (Gemma 2), which the fused kernel lacks; some rows at a time."""
    groups = query.shape[1] // key.shape[1]
    keys, values = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    parts = []
    for start in range(0, query.shape[2], _CHUNK):
        rows = list(range(start, min(start + _CHUNK, query.shape[2])))
        scores = softcap * torch.tanh(query[:, :, rows].float() @ keys.float().transpose(2, 3) * scaling / softcap)
        if mask is None:
            allowed = torch.arange(keys.shape[2], device=query.device)[None] <= torch.tensor(rows)[:, None].to(
                query.device
            )
            scores = scores.masked_fill(~allowed, -torch.inf)
        elif mask.dtype == torch.bool:
            scores = scores.masked_fill(~mask[:, :, rows], -torch.inf)
        else:
            scores = scores + mask[:, :, rows].float()
        parts.append(scores.softmax(-1).to(values.dtype) @ values)
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous()


@contextmanager
def _installed(model: Any, recorder: _Recorder) -> Iterator[None]:
    """Let the language model use `_attention` for the time of a `with` block."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    decoder: Any = language_model(model)
    before = decoder.config._attn_implementation
    decoder.set_attn_implementation(NAME)
    _active.append(recorder)
    try:
        yield
    finally:
        _active.pop()
        decoder.set_attn_implementation(before)
