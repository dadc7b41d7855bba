"""What goes into and comes out of the language model, read by hooks, for every model family."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from osler.models.language import language_model


@dataclass
class States:
    """One pass through the language model.

    Args:
        embeds_BTD: its input, where image tokens already hold the projected picture.
        hidden_BTD: its last hidden states, after the final norm.
    """

    embeds_BTD: Tensor | None = None
    hidden_BTD: Tensor | None = None


@contextmanager
def recorded_states(model: Any) -> Iterator[States]:
    """Record the states of the pass that runs inside the `with` block."""
    states = States()

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states.embeds_BTD = kwargs.get("inputs_embeds")

    def after(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        states.hidden_BTD = output[0]

    decoder = language_model(model)
    handles = [
        decoder.register_forward_pre_hook(before, with_kwargs=True),
        decoder.register_forward_hook(after, with_kwargs=True),
    ]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()
