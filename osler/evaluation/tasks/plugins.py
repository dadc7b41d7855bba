"""Tasks of other packages, through entry points of the group `osler.tasks`.

A package declares, for instance in its `pyproject.toml`:

    [project.entry-points."osler.tasks"]
    hands = "hospital_tasks.hands:TASK"

The name of the entry point is the name of the task; what it points to is a `Task`, or a class of one without arguments.
Metadata of installed packages alone are read until such a task is asked for by name, or all are listed: only then is
the package imported. A package that is installed is trusted as any other; there is no other way to bring one in.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from osler.errors import EvaluationError
from osler.evaluation.tasks.base import Task

GROUP = "osler.tasks"


def names() -> tuple[str, ...]:
    """Names of the entry points, sorted; nothing is imported."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load(name: str) -> Task:
    """The task of an entry point.

    Raises:
        EvaluationError: two packages have the name, the import fails, or what it gives is no task of that name; names
            package, entry point and reason.
    """
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if not points:
        raise EvaluationError(f"no installed package has a task {name!r} (entry points of the group {GROUP})")
    if len({point.value for point in points}) > 1:
        raise EvaluationError(f"task {name!r} is offered twice: {'; '.join(map(describe, points))}; uninstall one")
    point = points[0]
    try:
        found = point.load()
        task = found() if isinstance(found, type) and issubclass(found, Task) else found
    except Exception as error:  # whatever a stranger's module raises while it is imported
        raise EvaluationError(f"{describe(point)} fails: {type(error).__name__}: {error}") from error
    if not isinstance(task, Task):
        raise EvaluationError(f"{describe(point)} is a {type(task).__name__}, not an osler.evaluation.tasks.Task")
    if getattr(task, "name", None) != name:
        raise EvaluationError(f"{describe(point)}: its task is called {getattr(task, 'name', None)!r}; want {name!r}")
    return task


def describe(point: EntryPoint) -> str:
    """Where an entry point comes from, for messages."""
    package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"
    return f"plug-in task {point.name!r} of {package} ({point.value})"
