"""The probability of each of a question's options, all of them in one pass behind the prompt's cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from osler.evaluation.runners.base import Request
from osler.evaluation.runners.prefill import Prefilled
from osler.evaluation.runners.prompts import conversations


def score_continuations(
    model: Any, prompts: Prefilled, continuations: Sequence[Sequence[Sequence[int]]], *, suppressed: Sequence[int] = ()
) -> list[list[float]]:
    """Log-probability of continuations of prompts: the sum over the tokens of ln p(token | prompt, tokens before).

    The prompt is not computed again: its cache is copied to the rows of its continuations.

    Args:
        model: that filled the cache.
        prompts: B of them; left as they are.
        continuations: for each prompt its continuations, at least one, none of them empty.
        suppressed: tokens that can never be taken; probabilities are among the others, as in greedy decoding.

    Returns:
        For each prompt the values, in the order of its continuations.
    """
    rows = [(prompt, list(tokens)) for prompt, own in enumerate(continuations) for tokens in own]
    first = _log_softmax(prompts.logits, suppressed)
    totals = [float(first[prompt, tokens[0]]) for prompt, tokens in rows]
    longest = max(len(tokens) for _, tokens in rows) - 1  # the last token is only predicted
    if longest:
        state = prompts.select([prompt for prompt, _ in rows])
        heads = [tokens[:-1] for _, tokens in rows]
        ids = torch.tensor([[*head, *([0] * (longest - len(head)))] for head in heads], device=state.mask.device)
        own = torch.tensor([[1] * len(head) + [0] * (longest - len(head)) for head in heads], device=state.mask.device)
        output = model(
            input_ids=ids,
            attention_mask=torch.cat([state.mask, own], 1),
            position_ids=state.positions[:, None] + torch.arange(longest, device=ids.device),
            past_key_values=state.cache,
            use_cache=True,
        )
        for row, (_, tokens) in enumerate(rows):
            wanted = torch.tensor(tokens[1:], device=ids.device)
            chances = _log_softmax(output.logits[row, : len(wanted)].float(), suppressed)
            totals[row] += float(chances.gather(1, wanted[:, None]).sum())
    found, at = [], 0
    for own_continuations in continuations:
        found.append(totals[at : at + len(own_continuations)])
        at += len(own_continuations)
    return found


def score_joined(
    model: Any,
    processor: Any,
    request: Request,
    continuations: Sequence[Sequence[int]],
    *,
    suppressed: Sequence[int] = (),
) -> list[float]:
    """The same for one prompt of any model family: every row holds the whole prompt and one continuation.

    Args:
        model: any `AutoModelForImageTextToText`.
        processor: with a chat template.
        request: the prompt.
        continuations: token ids.
        suppressed: as above.
    """
    from osler.models.prompt_inputs import joined_inputs

    prompts = conversations([request]) * len(continuations)
    inputs, starts = joined_inputs(processor, prompts, continuations)
    placed = {name: value.to(model.device) for name, value in inputs.items()}
    if "pixel_values" in placed:
        placed["pixel_values"] = placed["pixel_values"].to(model.dtype)
    logits = model(**placed).logits
    totals = []
    for row, (start, tokens) in enumerate(zip(starts, continuations, strict=True)):
        chances = _log_softmax(logits[row, start - 1 : start - 1 + len(tokens)].float(), suppressed)
        totals.append(float(chances.gather(1, torch.tensor(list(tokens), device=model.device)[:, None]).sum()))
    return totals


def _log_softmax(logits: Any, suppressed: Sequence[int]) -> Any:
    if suppressed:
        logits = logits.clone()
        logits[..., list(suppressed)] = -torch.inf
    return logits.log_softmax(-1)
