"""Alignment of modalities in a batch: pure functions and modules over arrays, which know neither files nor trainers.

Names load on first use, so that reading a recipe's settings does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_LAZY = {
    "AlignmentHead": "osler.alignment.head",
    "AlignmentSettings": "osler.alignment.settings",
    "match": "osler.alignment.matching",
}

__all__ = ["AlignmentHead", "AlignmentSettings", "match"]

if TYPE_CHECKING:
    from osler.alignment.head import AlignmentHead
    from osler.alignment.matching import match
    from osler.alignment.settings import AlignmentSettings


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'osler.alignment' has no attribute {name!r}")
