"""What goes into and comes out of the language model, read by hooks, for every model family."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from osler.errors import ModelError


@dataclass
class States:
    """One pass through the language model.

    Args:
        embeds_BTD: its input, where image tokens already hold the projected picture.
        hidden_BTD: its last hidden states, after the final norm.
    """

    embeds_BTD: Tensor | None = None
    hidden_BTD: Tensor | None = None


def unwrap(model: Any) -> Any:
    """The vision-language model inside wrappers (data parallel, PEFT)."""
    while not hasattr(model, "config") or hasattr(model, "get_base_model"):
        model = model.get_base_model() if hasattr(model, "get_base_model") else model.module
    return model


def language_model(model: Any) -> nn.Module:
    """The language model without its output layer.

    Raises:
        ModelError: for a family in which it cannot be told apart.
    """
    base = unwrap(model)
    decoder = base.get_decoder()
    if decoder is base or decoder is getattr(base, "model", None):
        raise ModelError(f"{type(base).__name__}: cannot tell its language model apart, so it cannot be aligned")
    return decoder  # type: ignore[no-any-return]


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


def image_positions(model: Any, input_ids_BT: Tensor) -> Tensor:
    """Where the image tokens stand: True at patches."""
    config = unwrap(model).config
    token = getattr(config, "image_token_id", None)
    if token is None:
        token = config.image_token_index
    return input_ids_BT == token
