"""A progress bar with the time left, on stderr, so that output stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(label: str, *, total: int, show: bool) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances the bar by a number of items; it does nothing when `show` is False.

    Args:
        label: what is counted.
        total: number of items.
        show: whether to draw at all.
    """
    if not show or total == 0:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)

        def advance(count: int) -> None:
            bar.update(task, advance=count)

        yield advance
