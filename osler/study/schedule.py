"""Which runs are left, and doing them, several at a time."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from osler.study.grid import VARIANTS, Run, StudyError
from osler.study.one_run import Setting, recipe_of, settings_hash
from osler.study.results import finished, path_of

Say = Callable[[str], None]


def show_grid(runs: Sequence[Run], setting: Setting, say: Say) -> None:
    """List runs and whether their results are there."""
    setting.check()
    done = finished(setting.results, runs, lambda run: settings_hash(run, setting))
    for run in runs:
        steps = recipe_of(run, setting).stages[0].max_steps
        many = f"{steps} steps" if run.budget == "steps" else f"the compute of an aligned run of {steps} steps"
        mark = "done" if run in done else "to do"
        say(f"{run.name:<34} {mark:<6} {VARIANTS[run.variant].label}, {100 * run.fraction:g} % of the data, {many}")
    say(f"{len(done)} of {len(runs)} done")


def run_all(runs: Sequence[Run], setting: Setting, *, jobs: int, say: Say) -> int:
    """Do the runs that are not done.

    Args:
        runs: of the grid.
        setting: folders.
        jobs: processes, one thread each.
        say: receives a line for each finished run, with the time left.

    Returns:
        Number of runs that failed; the others went on.

    Raises:
        StudyError: when data are missing or results of other settings are in the way.
    """
    setting.check()
    setting.check_retrieval()
    done = finished(setting.results, runs, lambda run: settings_hash(run, setting))
    left = [run for run in runs if run not in done]
    if done:
        say(f"{len(done)} of {len(runs)} runs are done already")
    if not left:
        return 0
    seeds = sorted({run.seed for run in left})
    if not all(setting.base(seed).is_dir() for seed in seeds):
        say("making the models that the runs start from (some minutes, once)")
    try:
        with worker_pool(jobs) as pool:
            pool.submit(_prepare, setting.base(seeds[0]), seeds[0]).result()  # makes the vision encoder of all seeds
            for future in [pool.submit(_prepare, setting.base(seed), seed) for seed in seeds[1:]]:
                future.result()
    except BrokenProcessPool as error:
        raise StudyError("a worker was killed while it made a starting model, perhaps for memory; try again") from error
    return _Progress(setting, len(left), say).work_off(left, jobs)


def worker_pool(jobs: int) -> ProcessPoolExecutor:
    """Processes of one thread each, whose output is not shown."""
    # spawn: a fork of a process that holds threads may hang
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread)


class _Progress:
    """Works runs off and tells about each."""

    def __init__(self, setting: Setting, total: int, say: Say) -> None:
        self.setting, self.total, self.say = setting, total, say
        self.began, self.count, self.failed = time.monotonic(), 0, 0

    def work_off(self, left: Sequence[Run], jobs: int) -> int:
        """Do all runs; those in hand when a worker is killed get one more try, in new workers."""
        queue, again = list(left), set[Run]()
        while queue:
            broken = self._until_broken(queue, jobs)
            for run in broken:
                if run in again:
                    self._tell(run, error="its worker was killed twice, perhaps for memory")
            retried = [run for run in broken if run not in again]
            again |= set(retried)
            queue = [*retried, *queue]
        return self.failed

    def _until_broken(self, queue: list[Run], jobs: int) -> list[Run]:
        """Take runs off the queue until it is empty, or a worker is killed; gives the runs that this cut short."""
        waiting: dict[Future[tuple[float, float]], Run] = {}
        cut: list[Run] = []
        with worker_pool(min(jobs, len(queue))) as pool:
            while (queue or waiting) and not cut:
                while queue and len(waiting) < jobs:  # no further ahead: an interrupt leaves little unfinished
                    run = queue.pop(0)
                    waiting[pool.submit(_do, run, self.setting)] = run
                for future in wait(waiting, return_when=FIRST_COMPLETED)[0]:
                    run = waiting.pop(future)
                    try:
                        self._tell(run, result=future.result())
                    except BrokenProcessPool:
                        cut.append(run)
                    except Exception as error:  # one run that fails is no reason to lose the others
                        self._tell(run, error=str(error))
        return [*cut, *waiting.values()]

    def _tell(self, run: Run, *, result: tuple[float, float] | None = None, error: str = "") -> None:
        self.count += 1
        rest = (time.monotonic() - self.began) / self.count * (self.total - self.count) / 60
        if result is None:
            self.failed += 1
            what = f"failed: {error}"
        else:
            what = f"{100 * result[0]:.1f} % right, {result[1]:.0f} s"
        self.say(f"[{self.count}/{self.total}] {run.name}: {what}; about {rest:.0f} minutes left")


def _one_thread() -> None:
    import os
    import sys

    import torch

    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from osler.cli.quiet import quiet

    quiet()
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (the Trainer's log lines of several runs would mix)


def _prepare(folder: Path, seed: int) -> None:
    from osler.study.small_model import build_base

    build_base(folder, seed=seed)


def _do(run: Run, setting: Setting) -> tuple[float, float]:
    import json

    from osler.study.one_run import execute

    began = time.monotonic()
    path = execute(run, setting)
    assert path == path_of(setting.results, run)
    return float(json.loads(path.read_text())["accuracy"]), time.monotonic() - began
