"""What a number was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any


def describe() -> dict[str, Any]:
    """Processor, cores, memory, GPU and the versions that matter for speed."""
    import torch

    from osler.study.machine import processor_name

    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return {
        "cpu": processor_name(),
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 2**30),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "torch": version("torch"),
        "transformers": version("transformers"),
        "python": platform.python_version(),
    }
