"""Tasks by name. A new one is one file with a `TASK`, named in `_FILES`, or `register`ed by a program."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from osler.errors import EvaluationError
from osler.evaluation.tasks.base import Problem, Task

__all__ = ["Problem", "Task", "get", "names", "register"]

_FILES = {
    "abnormality": "abnormality",
    "bccd-grounding": "bccd_grounding",
    "classify-vqa": "classify_vqa",
    "ms-cxr": "ms_cxr",
    "phantom-grounding": "phantom_grounding",
    "records": "records",
    "refcoco-json": "refcoco_json",
    "sample-lesions": "sample_lesions",
    "vqa-rad": "vqa_rad",
}
_REGISTERED: dict[str, Task] = {}


def names() -> tuple[str, ...]:
    """Names of all tasks, sorted."""
    return tuple(sorted({*_FILES, *_REGISTERED}))


def register(task: Task) -> None:
    """Make a task of your own known by its name, in this process.

    Raises:
        EvaluationError: when the name is taken by another task.
    """
    if task.name in _FILES or _REGISTERED.get(task.name, task) is not task:
        raise EvaluationError(f"the task name {task.name!r} is taken; give yours another")
    _REGISTERED[task.name] = task


def get(name: str) -> Task:
    """Task of that name.

    Raises:
        EvaluationError: when there is none; names the nearest.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name not in _FILES:
        near = get_close_matches(name, names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise EvaluationError(f"no task {name!r}{hint} (there are: {', '.join(names())})")
    task: Task = import_module(f"osler.evaluation.tasks.{_FILES[name]}").TASK
    return task
