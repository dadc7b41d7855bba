"""Training: recipes, stages, objectives. Names load on first use, so that importing this does not import torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_LAZY = {
    "Recipe": ("osler.training.recipe", "Recipe"),
    "load_recipe": ("osler.training.recipe", "load"),
    "train": ("osler.training.run", "train"),
}

__all__ = ["Recipe", "load_recipe", "train"]

if TYPE_CHECKING:
    from osler.training.recipe import Recipe
    from osler.training.recipe import load as load_recipe
    from osler.training.run import train


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'osler.training' has no attribute {name!r}")
