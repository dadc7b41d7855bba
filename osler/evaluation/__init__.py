"""Evaluation: tasks, protocols, runners, controls, statistics and reports.

Names load on first use; importing this package needs neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_LAZY = {
    "Answer": "osler.evaluation.runners.base",
    "Evaluation": "osler.evaluation.run",
    "LocalRunner": "osler.evaluation.runners.local",
    "Request": "osler.evaluation.runners.base",
    "Runner": "osler.evaluation.runners.base",
    "Task": "osler.evaluation.tasks.base",
    "compare_runs": "osler.evaluation.compare",
    "evaluate": "osler.evaluation.run",
    "render_report": "osler.evaluation.report",
    "score_answers": "osler.evaluation.answer_files",
}

__all__ = [
    "Answer",
    "Evaluation",
    "LocalRunner",
    "Request",
    "Runner",
    "Task",
    "compare_runs",
    "evaluate",
    "render_report",
    "score_answers",
]

if TYPE_CHECKING:
    from osler.evaluation.answer_files import score_answers
    from osler.evaluation.compare import compare_runs
    from osler.evaluation.report import render_report
    from osler.evaluation.run import Evaluation, evaluate
    from osler.evaluation.runners.base import Answer, Request, Runner
    from osler.evaluation.runners.local import LocalRunner
    from osler.evaluation.tasks.base import Task


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
