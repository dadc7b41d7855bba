"""Tasks by name. A new one is one file with a `TASK`, named in `_FILES`, or `register`ed by a program, or a plug-in."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from osler.errors import EvaluationError
from osler.evaluation.tasks import plugins
from osler.evaluation.tasks.base import Layout, Problem, Task

__all__ = ["Layout", "Problem", "Task", "get", "names", "register"]

_FILES = {
    "abnormality": "abnormality",
    "bccd-grounding": "bccd_grounding",
    "classify-vqa": "classify_vqa",
    "llava-med-chat": "llava_med_chat",
    "med-grit": "med_grit",
    "medvh": "medvh",
    "mmmu-med": "mmmu_med",
    "ms-cxr": "ms_cxr",
    "omnimedvqa": "omnimedvqa",
    "path-vqa": "path_vqa",
    "phantom-grounding": "phantom_grounding",
    "pmc-vqa": "pmc_vqa",
    "records": "records",
    "refcoco-json": "refcoco_json",
    "report-generation": "report_generation",
    "sample-lesions": "sample_lesions",
    "slake": "slake",
    "vqa-rad": "vqa_rad",
}
_REGISTERED: dict[str, Task] = {}


def names() -> tuple[str, ...]:
    """Names of all tasks, sorted: our own, registered ones, and those of plug-ins, which are not imported for it."""
    return tuple(sorted({*_FILES, *_REGISTERED, *plugins.names()}))


def register(task: Task) -> None:
    """Make a task of your own known by its name, in this process.

    Raises:
        EvaluationError: when the name is taken by another task.
    """
    if task.name in _FILES or _REGISTERED.get(task.name, task) is not task:
        raise EvaluationError(f"the task name {task.name!r} is taken; give yours another")
    _REGISTERED[task.name] = task


def get(name: str) -> Task:
    """Task of that name: our own first, then a registered one, then a plug-in's.

    Raises:
        EvaluationError: when there is none; names the nearest. Or when the plug-in that has it fails.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name in _FILES:
        task: Task = import_module(f"osler.evaluation.tasks.{_FILES[name]}").TASK
        return task
    if name in plugins.names():
        return plugins.load(name)
    near = get_close_matches(name, names(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise EvaluationError(f"no task {name!r}{hint} (there are: {', '.join(names())})")
