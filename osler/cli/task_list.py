"""What `osler eval --list` prints, and which conventions of a task a folder has records of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from osler.errors import EvaluationError
from osler.evaluation import tasks
from osler.evaluation.tasks import Layout, Task
from osler.evaluation.tasks.base import Summary

LAYOUTS: dict[Layout, str] = {
    "verified": "layout verified on the published files",
    "documented": "layout verified against its public documentation only",
    "not verified": "layout NOT verified",
    "records": "reads Osler's own record files",
}


def task_lines() -> Iterator[str]:
    """A line for each task: name, what it is, conventions, and the state of its layout.

    Plug-ins are imported for this; one that fails has a line that says why.
    """
    for name in tasks.names():
        try:
            task = tasks.get(name)
            yield f"{name:<18} {task.description}  [{', '.join(task.conventions)}]  ({LAYOUTS[task.layout]})"
        except EvaluationError as error:
            yield f"{name:<18} CANNOT BE USED: {error}"


def with_records(task: Task, data: Path, split: str) -> tuple[str, ...]:
    """Conventions under which a folder holds records of a split; the others are told.

    Raises:
        EvaluationError: there are none.
    """
    held = []
    for convention in task.conventions:
        if task.load(data, split=split, convention=convention):
            held.append(convention)
        else:
            typer.echo(f"note: {data} holds no {split} records of the convention {convention!r}: left out", err=True)
    if not held:
        raise EvaluationError(f"{data}: holds no {split} records of task {task.name!r} under any convention")
    return tuple(held)


def show_summary(summary: Summary | None) -> None:
    """Print a table over several conventions, where the task has one."""
    from rich.console import Console
    from rich.table import Table

    if summary is None:
        return
    table = Table(*summary.head, title=summary.title, title_justify="left")
    for row in summary.rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    for note in summary.notes:
        console.print(note)
