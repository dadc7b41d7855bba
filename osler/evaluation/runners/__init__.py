"""Runners: prompts in, answers out. They load on first use, so that this import needs no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from osler.evaluation.runners.base import Answer, Request, Runner

__all__ = ["Answer", "EndpointRunner", "LocalRunner", "Request", "Runner", "running_server"]

if TYPE_CHECKING:
    from osler.evaluation.runners.endpoint import EndpointRunner
    from osler.evaluation.runners.local import LocalRunner
    from osler.evaluation.runners.server import running_server

_LAZY = {"EndpointRunner": "endpoint", "LocalRunner": "local", "running_server": "server"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"osler.evaluation.runners.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
