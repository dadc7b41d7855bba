"""Greedy decoding of prompts that are in the cache, with the probability of each token that is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from osler.evaluation.runners.prefill import Prefilled

_LEAVE = 0.75  # rows that ended leave the batch when no more than this share of it still runs


@dataclass(slots=True)
class Generated:
    """Tokens of one answer.

    Args:
        tokens: all that were taken, an end token included.
        logprobs: natural logarithm of the probability of each, among the tokens that may be taken.
        ended: by an end token ("token"), by a stop string ("stop"), or not ("").
    """

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ended: str = ""


def greedy(
    model: Any,
    prompts: Prefilled,
    *,
    max_new_tokens: int,
    ends: Sequence[int],
    suppressed: Sequence[int] = (),
    stopped: Callable[[list[int]], bool] | None = None,
) -> list[Generated]:
    """Take the likeliest token of each row until it ends.

    Args:
        model: that filled the cache.
        prompts: B of them; the cache is used up.
        max_new_tokens: limit.
        ends: tokens that end a row.
        suppressed: tokens that are never taken.
        stopped: whether the tokens of a row end it.

    Returns:
        B answers.
    """
    rows = [Generated() for _ in range(len(prompts.positions))]
    running = list(range(len(rows)))  # row of the batch -> answer
    state, logits = prompts, prompts.logits
    while True:
        if suppressed:
            logits[:, list(suppressed)] = -torch.inf
        taken = logits.argmax(-1)
        chances = logits.gather(1, taken[:, None])[:, 0] - logits.logsumexp(-1)
        alive = []
        for place, (token, chance) in enumerate(zip(taken.tolist(), chances.tolist(), strict=True)):
            row = rows[running[place]]
            if row.ended or len(row.tokens) >= max_new_tokens:
                continue
            row.tokens.append(token)
            row.logprobs.append(chance)
            if token in ends:
                row.ended = "token"
            elif stopped is not None and stopped(row.tokens):
                row.ended = "stop"
            elif len(row.tokens) < max_new_tokens:
                alive.append(place)
        if not alive:
            return rows
        if len(alive) <= _LEAVE * len(running):
            state, taken = state.select(alive), taken[alive]
            running = [running[place] for place in alive]
        state.mask = torch.cat([state.mask, state.mask.new_ones(len(running), 1)], 1)
        output = model(
            input_ids=taken[:, None],
            attention_mask=state.mask,
            position_ids=state.positions[:, None],
            past_key_values=state.cache,
            use_cache=True,
        )
        state.positions = state.positions + 1
        logits = output.logits[:, -1].float()
