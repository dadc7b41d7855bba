"""Runners: prompts in, answers out. `LocalRunner` loads on first use, so that this import needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osler.evaluation.runners.base import Answer, Request, Runner

__all__ = ["Answer", "LocalRunner", "Request", "Runner"]

if TYPE_CHECKING:
    from osler.evaluation.runners.local import LocalRunner


def __getattr__(name: str) -> Any:
    if name == "LocalRunner":
        from osler.evaluation.runners.local import LocalRunner

        return LocalRunner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
