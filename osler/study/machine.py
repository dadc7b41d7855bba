"""What a run was done on."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any


def processor_name() -> str:
    """Model of the CPU."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    """Processor, threads and the versions that can change a result."""
    import torch

    return {
        "processor": torch.cuda.get_device_name(0) if torch.cuda.is_available() else processor_name(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "transformers", "numpy")},
    }
