"""Answers by transformers' own `generate`: for sampling, and for families whose prefixes cannot be copied.

Their positions (Qwen-VL's in three axes) or masks (Gemma's, in both directions within an image) are the library's
affair. Prompts are padded on the left, so that every row ends where its answer begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor

from osler.evaluation.runners.base import Request
from osler.evaluation.runners.greedy import Generated
from osler.evaluation.runners.prompts import conversations


class _Chances(LogitsProcessor):
    """Notes ln p of each token that was taken, without keeping the logits of more than one step."""

    def __init__(self) -> None:
        self.columns: list[Tensor] = []
        self._last: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.note(input_ids[:, -1])
        self._last = scores.float().log_softmax(-1)
        return scores

    def note(self, taken: Tensor) -> None:
        if self._last is not None:
            self.columns.append(self._last.gather(1, taken[:, None])[:, 0])


def encode(processor: Any, requests: Sequence[Request], *, device: Any, dtype: Any) -> Any:
    """Model inputs of prompts, padded on the left."""
    tokenizer = processor.tokenizer
    if tokenizer.pad_token is None:
        # Any token serves: the mask hides it. The end token is in every vocabulary that can end an answer.
        tokenizer.pad_token = tokenizer.eos_token
    inputs = processor.apply_chat_template(
        conversations(requests),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left"},
    ).to(device)
    if "pixel_values" in inputs:
        inputs["pixel_values"] = inputs["pixel_values"].to(dtype)
    return inputs


def generate(
    model: Any, inputs: Any, *, settings: dict[str, Any], ends: Sequence[int], stop: Any, pad: int
) -> list[Generated]:
    """Answers of a batch.

    Args:
        model: any that generates.
        inputs: as `encode` makes them.
        settings: of the generation configuration; nothing else of the checkpoint's own takes part.
        ends: tokens that end an answer.
        stop: tokens of an answer -> whether they end it; or None.
        pad: token that fills up rows which have ended.
    """
    start = inputs["input_ids"].shape[1]
    chances = _Chances()

    def stopped(input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        return torch.tensor([stop(row) for row in input_ids[:, start:].tolist()], device=input_ids.device)

    # `generate` merges what the checkpoint stores (sampling, penalties) into any configuration it is given, so the
    # stored one has to be out of the way: it must not leak into a benchmark.
    stored = model.generation_config
    model.generation_config = GenerationConfig(
        num_beams=1, eos_token_id=list(ends) or None, pad_token_id=pad, **settings
    )
    try:
        tokens = model.generate(**inputs, stopping_criteria=[stopped] if stop else [], logits_processor=[chances])
    finally:
        model.generation_config = stored
    chances.note(tokens[:, -1])
    columns = torch.stack(chances.columns, 1).tolist()
    return [
        _row(ids, values, ends=ends, stop=stop) for ids, values in zip(tokens[:, start:].tolist(), columns, strict=True)
    ]


def _row(ids: list[int], chances: list[float], *, ends: Sequence[int], stop: Any) -> Generated:
    for length in range(1, len(ids) + 1):
        ended = "token" if ids[length - 1] in ends else "stop" if stop and stop(ids[:length]) else ""
        if ended:
            return Generated(ids[:length], chances[:length], ended)
    return Generated(ids, chances, "")
