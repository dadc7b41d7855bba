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
        StudyError: when data are missing, results of other settings are in the way, or a worker was killed.
    """
    setting.check()
    done = finished(setting.results, runs, lambda run: settings_hash(run, setting))
    left = [run for run in runs if run not in done]
    if done:
        say(f"{len(done)} of {len(runs)} runs are done already")
    if not left:
        return 0
    # spawn: a fork of a process that holds threads may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(left)), mp_context=context, initializer=_one_thread) as pool:
        try:
            seeds = sorted({run.seed for run in left})
            if not setting.base(seeds[0]).is_dir():
                say("making the model that the runs start from (some minutes, once)")
            pool.submit(_prepare, setting.base(seeds[0]), seeds[0]).result()  # makes the vision encoder of all seeds
            for future in [pool.submit(_prepare, setting.base(seed), seed) for seed in seeds[1:]]:
                future.result()
            return _work_off(pool, left, setting, jobs=jobs, say=say)
        except BrokenProcessPool as error:
            raise StudyError(
                "a worker was killed from outside, perhaps for memory; finished runs are kept: give the same command "
                "again, perhaps with fewer --jobs"
            ) from error


def _work_off(pool: ProcessPoolExecutor, left: Sequence[Run], setting: Setting, *, jobs: int, say: Say) -> int:
    began, failed, count = time.monotonic(), 0, 0
    waiting: dict[Future[tuple[float, float]], Run] = {}
    queue = list(left)
    while queue or waiting:
        while queue and len(waiting) < jobs:  # no further ahead, so that an interrupt leaves little unfinished
            run = queue.pop(0)
            waiting[pool.submit(_do, run, setting)] = run
        ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in ready:
            run = waiting.pop(future)
            count += 1
            rest = (time.monotonic() - began) / count * (len(left) - count) / 60
            try:
                accuracy, seconds = future.result()
                what = f"{100 * accuracy:.1f} % right, {seconds:.0f} s"
            except BrokenProcessPool:
                raise
            except Exception as error:  # one run that fails is no reason to lose the others
                failed += 1
                what = f"failed: {error}"
            say(f"[{count}/{len(left)}] {run.name}: {what}; about {rest:.0f} minutes left")
    return failed


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
