"""Models: built from parts, loaded from folders, imported from published checkpoints.

Names load on first use, so that importing this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_LAZY = {
    "LoadedModel": "osler.models.load",
    "build": "osler.models.assemble",
    "build_default": "osler.models.default",
    "check_folder": "osler.models.load",
    "load_model": "osler.models.load",
}

__all__ = ["LoadedModel", "build", "build_default", "check_folder", "load_model"]

if TYPE_CHECKING:
    from osler.models.assemble import build
    from osler.models.default import build_default
    from osler.models.load import LoadedModel, check_folder, load_model


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'osler.models' has no attribute {name!r}")
