"""Which runs are left, and doing them, several at a time: starts first, then what begins from them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from osler.study.abnormal_aware.base import base_folder, build_base
from osler.study.abnormal_aware.grid import VARIANTS, Run
from osler.study.abnormal_aware.one_run import Setting, execute, recipe_of, settings_hash
from osler.study.grid import StudyError
from osler.study.schedule import worker_pool

Say = Callable[[str], None]


def finished(runs: Sequence[Run], setting: Setting) -> set[Run]:
    """Runs whose result is there.

    Raises:
        StudyError: for a result of other settings, which must not be mixed with these, or a broken file.
    """
    done = set()
    for run in runs:
        path = setting.path(run)
        if not path.is_file():
            continue
        try:
            content = json.loads(path.read_text())
        except ValueError as error:
            raise StudyError(f"{path}: not readable as JSON ({error}); delete it to run it again") from error
        if content.get("settings_sha256") != settings_hash(run, setting):
            raise StudyError(
                f"{path}: was run with other settings; choose another results folder, or delete the file to redo it"
            )
        done.add(run)
    return done


def show_grid(runs: Sequence[Run], setting: Setting, say: Say) -> None:
    """List runs and whether their results are there."""
    done = finished(runs, setting)
    for run in runs:
        steps = recipe_of(run, setting).stages[0].max_steps
        say(f"{run.name:<26} {'done' if run in done else 'to do':<6} {VARIANTS[run.variant].label}, {steps} steps")
    say(f"{len(done)} of {len(runs)} done")


def run_all(runs: Sequence[Run], setting: Setting, *, jobs: int, say: Say) -> int:
    """Do the runs that are not done.

    Args:
        runs: of the grid.
        setting: folders.
        jobs: processes, one thread each.
        say: receives a line for each finished run.

    Returns:
        Number of runs that failed, or had no start to begin from; the others went on.

    Raises:
        StudyError: when data are missing or results of other settings are in the way.
    """
    for data in dict.fromkeys(run.data for run in runs):
        setting.prepared(data)
    done = finished(runs, setting)
    left = [run for run in runs if run not in done]
    # a start's model is needed again when its result is there but its folder was cleaned away
    for run in list(left):
        start = Run(run.data, run.seed, "start")
        if run.variant != "start" and start not in left and not _start_folder(start, setting).is_dir():
            left.insert(0, start)
    say(f"{len(runs) - len(left)} of {len(runs)} runs are done already")
    if not left:
        return 0
    for data, seed in sorted({(run.data, run.seed) for run in left}):
        folder = base_folder(setting.work, data, seed)
        if not folder.is_dir():
            say(f"making the base model of {data}, seed {seed} (the first takes minutes, for its vision encoder)")
            build_base(folder, data, setting.sources[data], seed=seed)
    failed = 0
    for part in ([run for run in left if run.variant == "start"], [run for run in left if run.variant != "start"]):
        ready = [run for run in part if run.variant == "start" or _start_folder(run, setting).is_dir()]
        failed += len(part) - len(ready) + _work_off(ready, setting, jobs, say)
    return failed


def _start_folder(run: Run, setting: Setting) -> Path:
    return setting.work / "starts" / Run(run.data, run.seed, "start").name / "model"


def _work_off(runs: Sequence[Run], setting: Setting, jobs: int, say: Say) -> int:
    """Do runs in worker processes; gives the number that failed."""
    if not runs:
        return 0
    began, failed = time.monotonic(), 0
    with worker_pool(min(jobs, len(runs))) as pool:
        waiting: dict[Future[Path], Run] = {pool.submit(execute, run, setting): run for run in runs}
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED)[0]:
                run = waiting.pop(future)
                count = len(runs) - len(waiting)
                rest = (time.monotonic() - began) / count * len(waiting) / 60
                try:
                    content = json.loads(future.result().read_text())
                    what = f"mean IoU {_mean(content):.3f}, {content['seconds']:.0f} s"
                except BrokenProcessPool:
                    what, failed = "its worker was killed, perhaps for memory", failed + 1
                except Exception as error:  # one run that fails is no reason to lose the others
                    what, failed = f"failed: {error}", failed + 1
                say(f"[{count}/{len(runs)}] {run.name}: {what}; about {rest:.0f} minutes left in this part")
    return failed


def _mean(content: dict[str, dict[str, list[float]]]) -> float:
    items = content["items"]
    shown = [value for value, boxes in zip(items["iou"], items["boxes"], strict=True) if boxes]
    return sum(shown) / len(shown)
