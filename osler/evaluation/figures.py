"""How reports write numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def percent_interval(entry: Mapping[str, Any] | None) -> str:
    """A mean with its interval in per cent, as in "61.7 (57.8–65.8)"; a dash where there is none."""
    if not entry or entry["mean"] is None:
        return "–"
    return f"{entry['mean'] * 100:.1f} ({entry['low'] * 100:.1f}–{entry['high'] * 100:.1f})"
