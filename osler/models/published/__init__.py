"""Published checkpoints in their authors' own layouts, turned into Hugging Face folders.

Names load on first use: importing this package loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_LAZY = {
    "CheckpointKind": "osler.models.published.detect",
    "ImportReport": "osler.models.published.report",
    "TensorDifference": "osler.models.published.report",
    "detect_checkpoint": "osler.models.published.detect",
    "import_v10": "osler.models.published.v10",
    "import_v15": "osler.models.published.v15",
}

__all__ = [
    "CheckpointKind",
    "ImportReport",
    "TensorDifference",
    "detect_checkpoint",
    "import_v10",
    "import_v15",
]

if TYPE_CHECKING:
    from osler.models.published.detect import CheckpointKind, detect_checkpoint
    from osler.models.published.report import ImportReport, TensorDifference
    from osler.models.published.v10 import import_v10
    from osler.models.published.v15 import import_v15


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'osler.models.published' has no attribute {name!r}")
