"""Prompts and the tokens that followed them, as the inputs of one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_BY_TOKEN = ("token_type_ids", "mm_token_type_ids")


def joined_inputs(
    processor: Any, prompts: Sequence[Any], completions: Sequence[Sequence[int]]
) -> tuple[dict[str, Tensor], list[int]]:
    """Model inputs of prompts with their completions behind, padded on the right.

    The completions' own token ids are used, because a text that is tokenised anew may come out otherwise.

    Args:
        processor: with a chat template.
        prompts: B conversations, with pictures in their image parts.
        completions: B lists of token ids.

    Returns:
        `input_ids` and `attention_mask` (B, T), the image tensors, and where each completion starts.
    """
    encoded = processor.apply_chat_template(
        list(prompts), add_generation_prompt=True, tokenize=True, return_dict=True, processor_kwargs={"padding": False}
    )
    tokenizer = processor.tokenizer
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    heads = [torch.as_tensor(ids) for ids in encoded["input_ids"]]
    starts = [len(head) for head in heads]
    rows = [torch.cat([head, torch.as_tensor(list(ids))]) for head, ids in zip(heads, completions, strict=True)]
    inputs = {
        "input_ids": _padded(rows, pad),
        "attention_mask": _padded([torch.ones_like(row) for row in rows], 0),
    }
    for name, value in encoded.items():
        if name in _BY_TOKEN:  # zero, text, for what follows
            inputs[name] = _padded([torch.as_tensor(part) for part in value], 0, length=inputs["input_ids"].shape[1])
        elif name not in inputs:
            inputs[name] = value if isinstance(value, Tensor) else _stacked(value)
    return inputs, starts


def _stacked(value: Any) -> Tensor:
    parts = [part if isinstance(part, Tensor) else torch.as_tensor(part) for part in value]
    return torch.stack(parts)


def _padded(rows: Sequence[Tensor], value: int, *, length: int = 0) -> Tensor:
    longest = max(length, *(len(row) for row in rows))
    return torch.stack([torch.nn.functional.pad(row, (0, longest - len(row)), value=value) for row in rows])
