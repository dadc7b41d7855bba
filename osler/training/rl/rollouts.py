"""Drawing completions from a policy, and what a policy says about given completions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from osler.models.language import image_token_id, unwrap
from osler.models.prompt_inputs import joined_inputs
from osler.training.objectives import IGNORE, Step
from osler.training.rl.settings import RolloutSection


@dataclass(frozen=True)
class Completions:
    """Sampled completions as the inputs of one forward pass.

    Args:
        inputs: `input_ids`, `attention_mask` (B, S) and image tensors.
        labels_BS: the completions' tokens at their places, -100 elsewhere.
        ids: the tokens of each completion, end token included.
        texts: the same decoded.
    """

    inputs: dict[str, Any]
    labels_BS: Tensor
    ids: list[list[int]]
    texts: list[str]

    @property
    def mask_BT(self) -> Tensor:
        """1 at tokens of the completions, packed to the left; T is the longest."""
        lengths_B = torch.tensor([len(row) for row in self.ids], device=self.labels_BS.device)
        return (torch.arange(int(lengths_B.max()), device=lengths_B.device)[None] < lengths_B[:, None]).float()


class Judgement(NamedTuple):
    """What a policy says about completions, token by token (B, T); 0 behind their ends.

    Args:
        logps: log-probability of each token.
        entropy: of the distribution that it was drawn from.
        hidden: last hidden states (B, T, D) before each token; None unless asked for.
    """

    logps: Tensor
    entropy: Tensor
    hidden: Tensor | None


def draw(model: Any, processor: Any, prompts: Sequence[Any], rollout: RolloutSection) -> Completions:
    """Sample a completion for each prompt.

    Args:
        model: the policy.
        processor: of the model.
        prompts: conversations with their pictures; one that is to be answered G times stands there G times.
        rollout: temperature, nucleus and length limit.
    """
    base = unwrap(model)
    tokenizer = processor.tokenizer
    if tokenizer.pad_token is None:  # any token serves: the mask hides it
        tokenizer.pad_token = tokenizer.eos_token
    inputs = processor.apply_chat_template(
        list(prompts),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left"},
    ).to(base.device)
    ends = _end_tokens(base, tokenizer)
    with torch.no_grad(), _evaluating(base), _sampling(base, tokenizer, rollout, ends):
        # the wrapped model, so that adapters are active
        sequences = model.generate(**inputs) if hasattr(model, "generate") else base.generate(**inputs)
    ids = [_until_end(row, ends) for row in sequences[:, inputs["input_ids"].shape[1] :].tolist()]
    joined, starts = joined_inputs(processor, prompts, ids)
    labels_BS = torch.full_like(joined["input_ids"], IGNORE)
    for number, (start, row) in enumerate(zip(starts, ids, strict=True)):
        labels_BS[number, start : start + len(row)] = torch.tensor(row)
    return Completions(
        {name: value.to(base.device) for name, value in joined.items()},
        labels_BS.to(base.device),
        ids,
        [tokenizer.decode(row, skip_special_tokens=True) for row in ids],
    )


def judge(model: Any, drawn: Completions, *, temperature: float, keep_hidden: bool = False) -> Judgement:
    """Log-probabilities and entropies of completions under a policy, with gradient where it is enabled.

    Args:
        model: the policy or its reference.
        drawn: completions.
        temperature: that they were drawn with; the policy is the tempered distribution.
        keep_hidden: also give the hidden states.
    """
    step = Step(model, {**drawn.inputs, "labels": drawn.labels_BS}, tokens=None, keep_states=keep_hidden)
    logits_NV, targets_N = step.answer_logits()
    log_NV = (logits_NV.float() / temperature).log_softmax(-1)
    logps_N = log_NV.gather(1, targets_N[:, None])[:, 0]
    entropy_N = -(log_NV.exp() * log_NV).sum(-1)
    mask_BT = drawn.mask_BT
    hidden = None
    if keep_hidden:
        states = step.states().hidden_BTD
        assert states is not None
        hidden = _spread(states[:, :-1][drawn.labels_BS[:, 1:] != IGNORE], mask_BT)
    return Judgement(_spread(logps_N, mask_BT), _spread(entropy_N, mask_BT), hidden)


def _spread(values_N: Tensor, mask_BT: Tensor) -> Tensor:
    """Values of all completions one after the other, as rows padded with 0."""
    spread = values_N.new_zeros((*mask_BT.shape, *values_N.shape[1:]))
    return spread.masked_scatter(mask_BT.bool().reshape(*mask_BT.shape, *([1] * (values_N.dim() - 1))), values_N)


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    own = model.generation_config.eos_token_id
    ends = set(own if isinstance(own, list) else [] if own is None else [own])
    return sorted(ends | ({tokenizer.eos_token_id} - {None}))


def _until_end(row: list[int], ends: list[int]) -> list[int]:
    """A generated row up to and with its first end token."""
    length = next((number + 1 for number, token in enumerate(row) if token in ends), len(row))
    return row[:length]


def suppressed_tokens(model: Any) -> list[int]:
    """Tokens that a completion never holds: those that the model says, and the image placeholder.

    A placeholder in a completion would ask for a picture that is not there.

    Args:
        model: the policy, also wrapped.
    """
    base = unwrap(model)
    return sorted({image_token_id(base), *(getattr(base.generation_config, "suppress_tokens", None) or ())})


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def _sampling(model: Any, tokenizer: Any, rollout: RolloutSection, ends: list[int]) -> Iterator[None]:
    """Sampling settings of the recipe instead of those stored with the model."""
    from transformers import GenerationConfig

    stored = model.generation_config
    model.generation_config = GenerationConfig(
        max_new_tokens=rollout.max_new_tokens,
        do_sample=True,
        temperature=rollout.temperature,
        top_p=rollout.top_p,
        top_k=0,
        eos_token_id=ends or None,
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=suppressed_tokens(model),
        use_cache=True,
    )
    try:
        yield
    finally:
        model.generation_config = stored
