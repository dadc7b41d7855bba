"""The language model inside a vision-language model, whatever family and wrappers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osler.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


def unwrap(model: Any) -> Any:
    """The vision-language model inside wrappers (data parallel, PEFT)."""
    while not hasattr(model, "config") or hasattr(model, "get_base_model"):
        model = model.get_base_model() if hasattr(model, "get_base_model") else model.module
    return model


def language_model(model: Any) -> Any:
    """The language model without its output layer.

    Raises:
        ModelError: for a family in which it cannot be told apart.
    """
    base = unwrap(model)
    decoder = base.get_decoder()
    if decoder is base or decoder is getattr(base, "model", None):
        raise ModelError(f"{type(base).__name__}: cannot tell its language model apart")
    return decoder


def image_token_id(model: Any) -> int:
    """Id of the token that stands for one patch of a picture."""
    config = unwrap(model).config
    token = getattr(config, "image_token_id", None)
    return int(config.image_token_index if token is None else token)


def image_positions(model: Any, input_ids_BT: Tensor) -> Tensor:
    """Where the image tokens stand: True at patches."""
    return input_ids_BT == image_token_id(model)
