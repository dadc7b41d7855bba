"""Osler: train, evaluate and serve medical vision-language models.

`import osler` is cheap: it loads neither torch nor transformers. Names below load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "Box": "osler.boxes",
    "Record": "osler.records",
    "Region": "osler.records",
    "Turn": "osler.records",
    "load_image": "osler.images",
    "load_model": "osler.models",
    "train": "osler.training",
    "evaluate": "osler.evaluation",
}

__all__ = [
    "Box",
    "Record",
    "Region",
    "Turn",
    "__version__",
    "evaluate",
    "load_image",
    "load_model",
    "train",
]

if TYPE_CHECKING:
    from osler.boxes import Box
    from osler.evaluation import evaluate
    from osler.images import load_image
    from osler.models import load_model
    from osler.records import Record, Region, Turn
    from osler.training import train


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'osler' has no attribute {name!r}")
