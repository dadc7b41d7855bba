"""The harvest of many articles: shards that appear whole, so that a killed run goes on and ends with the same bytes.

A shard is a function of its articles (names and ETags), the filters and this code's version. The digest of those stands
in the shard's `.done.json`, which is written last: what has the right digest is not done again, and after an update
only the shards with changed articles are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from osler.errors import SourceError
from osler.record_atomic import atomic_write
from osler.record_files import write_records
from osler.sources.pmc.figure_records import Outcome, Reject, harvest_article
from osler.sources.pmc.filters import Filters
from osler.sources.pmc.plan import Planned
from osler.sources.pmc.stores import Store

VERSION = 1
"""Of what a shard holds: raised when the same articles give other records."""
SHARDS = "figures"
REJECTS = "figures.rejects.jsonl"
SUMMARY = "harvest.json"
MAX_FAILURES = 8  # articles in a row that could not be fetched: then the bucket or the network is down


@dataclass(frozen=True, slots=True)
class Settings:
    """How records are made and cut into files.

    Args:
        filters: what is asked for.
        around: sentences to keep before and after each mention.
        shard_articles: articles for each shard.
        format: of the shards.

    Raises:
        SourceError: a number out of range.
    """

    filters: Filters = field(default_factory=Filters)
    around: int = 1
    shard_articles: int = 200
    format: Literal["jsonl", "parquet"] = "jsonl"

    def __post_init__(self) -> None:
        if self.around < 0 or self.shard_articles < 1:
            raise SourceError(f"around={self.around}, shard_articles={self.shard_articles}: want 0 and 1 or more")
        if self.format not in ("jsonl", "parquet"):
            raise SourceError(f"format {self.format!r} is unknown; want jsonl or parquet")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a harvest gave.

    Args:
        folder: that holds `figures/`, the rejects and `harvest.json`.
        images: folder that image paths of the records are relative to.
        shards: record files in order.
        articles: looked at.
        older_versions: of them, passed over for the newest.
        with_records: articles that gave at least one record.
        figures: in the articles that were read.
        records: written.
        left_out: articles and figures left out, by code.
        unfetched: articles that could not be fetched for now; another run tries them again.
    """

    folder: Path
    images: Path
    shards: tuple[Path, ...]
    articles: int
    older_versions: int
    with_records: int
    figures: int
    records: int
    left_out: dict[str, int]
    unfetched: int


def write_shards(
    articles: Iterable[Planned],
    folder: Path,
    *,
    store: Store,
    settings: Settings,
    workers: int = 1,
    processes: bool = True,
    redo: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Summary:
    """Harvest articles into `folder`.

    Args:
        articles: in the order of the plan.
        folder: made if need be; its shards of an earlier run are used again where they are still right.
        store: where files come from.
        settings: see there.
        workers: articles at a time.
        processes: work in processes (reading is what takes time) rather than threads (waiting is).
        redo: make every shard anew.
        advance: called with the number of articles that are done.

    Raises:
        SourceError: the bucket cannot be reached, or a worker process was killed; what is done is kept.
        OslerError: the disk is full.
    """
    shards = folder / SHARDS
    total: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    files: list[Path] = []
    failures = _Failures()
    work = partial(harvest_article, store=store, filters=settings.filters, around=settings.around)
    with _pool(workers, processes) as pool:
        for number, chunk in enumerate(_chunks(articles, settings.shard_articles)):
            path = shards / f"{SHARDS}-{number:06d}.{settings.format}"
            digest = _digest(chunk, settings, store)
            done = None if redo else _done(path, digest)
            if done is None:
                done = _write_shard(path, digest, _outcomes(work, chunk, pool, workers, failures, advance), chunk)
            elif advance is not None:
                advance(len(chunk))
            total.update(done["counts"])
            left_out.update(done["left_out"])
            files.append(path)
        _tidy(shards, files)
        _join_rejects(files, folder / REJECTS)
        summary = Summary(
            folder=folder,
            images=store.folder,
            shards=tuple(files),
            left_out=dict(sorted(left_out.items())),
            **{name: total[name] for name in _COUNTS},
        )
        _write_json(folder / SUMMARY, _facts(summary, settings))
    return summary


_COUNTS = ("articles", "older_versions", "with_records", "figures", "records", "unfetched")


def _outcomes(
    work: Callable[[Planned], Outcome],
    chunk: list[Planned],
    pool: Executor | None,
    workers: int,
    failures: _Failures,
    advance: Callable[[int], None] | None,
) -> Iterator[Outcome]:
    for outcome in _ordered(work, chunk, pool, 2 * workers):
        failures.see(outcome)
        if advance is not None:
            advance(1)
        yield outcome


class _Failures:
    """Counts articles in a row that could not be fetched, and stops the run when it is plain that none can."""

    def __init__(self) -> None:
        self.count = 0

    def see(self, outcome: Outcome) -> None:
        # a proxy that forbids everything looks like a bucket that forbids one object
        failed = outcome.temporary or any(reject.code.endswith("-forbidden") for reject in outcome.rejects)
        self.count = self.count + 1 if failed else 0
        if self.count >= MAX_FAILURES:
            raise SourceError(
                f"{outcome.rejects[-1].reason}: {self.count} articles in a row could not be fetched. What was done is "
                "kept: run the same command again to go on"
            )


def _ordered(
    work: Callable[[Planned], Outcome], items: Iterable[Planned], pool: Executor | None, window: int
) -> Iterator[Outcome]:
    """Results in the order of the items, with a bounded number under way."""
    if pool is None:
        yield from map(work, items)
        return
    waiting: deque[Future[Outcome]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= window:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise SourceError(
            "a worker process was killed, perhaps because memory ran out; what was done is kept: run the same command "
            "again to go on, with fewer workers"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


@contextlib.contextmanager
def _pool(workers: int, processes: bool) -> Iterator[Executor | None]:
    if workers < 1:
        raise SourceError(f"workers={workers}: want 1 or more")
    if workers == 1:
        yield None
    elif processes:
        # spawn: a fork of a process that holds threads may hang
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent) as pool:
            yield pool
    else:
        with ThreadPoolExecutor(workers) as threads:
            yield threads


def _follow_parent() -> None:
    """End this worker when the run is killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a harvest folder: two runs at a time in it would remove each other's shards.

    Raises:
        SourceError: another run is at work there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"{folder}: cannot be made: {error.strerror}; choose another folder") from error
    try:
        import fcntl
    except ImportError:  # Windows: no such locks
        yield
        return
    with (folder / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SourceError(f"{folder}: another harvest is at work there; wait, or take another folder") from error
        yield


def _chunks(items: Iterable[Planned], size: int) -> Iterator[list[Planned]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _digest(chunk: list[Planned], settings: Settings, store: Store) -> str:
    articles = [
        [item.number, item.older, *((item.listed.version.version, item.listed.etag) if item.listed else ())]
        for item in chunk
    ]
    parts = [VERSION, asdict(settings), store.bucket, articles]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _rejects_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}.rejects.jsonl")


def _done(path: Path, digest: str) -> dict[str, Any] | None:
    """What a finished shard says of itself; None when it is to be made (again)."""
    note = path.with_suffix(".done.json")
    try:
        done = json.loads(note.read_bytes())
        usable = done["digest"] == digest and not done["counts"]["unfetched"]
        usable = usable and path.is_file() and _rejects_of(path).is_file()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return done if usable else None


def _write_shard(path: Path, digest: str, outcomes: Iterable[Outcome], chunk: list[Planned]) -> dict[str, Any]:
    finished = list(outcomes)
    path.with_suffix(".done.json").unlink(missing_ok=True)
    rejects = [reject for outcome in finished for reject in outcome.rejects]
    counts = {
        "articles": len(chunk),
        "older_versions": sum(item.older for item in chunk),
        "with_records": sum(bool(outcome.records) for outcome in finished),
        "figures": sum(outcome.figures for outcome in finished),
        "records": write_records((record for outcome in finished for record in outcome.records), path),
        "unfetched": sum(outcome.temporary for outcome in finished),
    }
    with atomic_write(_rejects_of(path)) as stream:
        for reject in rejects:
            stream.write(_line(reject))
    done = {"digest": digest, "counts": counts, "left_out": dict(Counter(reject.code for reject in rejects))}
    _write_json(path.with_suffix(".done.json"), done)
    return done


def _line(reject: Reject) -> bytes:
    fields = {name: value for name, value in reject._asdict().items() if value}
    # a stranger's file names may hold lone surrogates, which UTF-8 has no bytes for: written as ASCII
    return json.dumps(fields).encode() + b"\n"


def _tidy(shards: Path, files: list[Path]) -> None:
    """Remove what a longer earlier run, or one of another format, left."""
    kept = {path for file in files for path in (file, _rejects_of(file), file.with_suffix(".done.json"))}
    for path in shards.glob(f"{SHARDS}-*") if shards.is_dir() else ():
        if path not in kept:
            path.unlink()


def _join_rejects(files: list[Path], target: Path) -> None:
    with atomic_write(target) as stream:
        for file in files:
            stream.write(_rejects_of(file).read_bytes())


def _facts(summary: Summary, settings: Settings) -> dict[str, Any]:
    counts = {name: getattr(summary, name) for name in _COUNTS}
    shards = [path.relative_to(summary.folder).as_posix() for path in summary.shards]
    inside = summary.images.resolve().is_relative_to(summary.folder.resolve())
    images = summary.images.resolve().relative_to(summary.folder.resolve()) if inside else summary.images
    return {
        "version": VERSION,
        "images": images.as_posix(),
        **counts,
        "left_out": summary.left_out,
        "settings": asdict(settings),
        "shards": shards,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with atomic_write(path) as stream:
        stream.write(json.dumps(value, indent=2, ensure_ascii=True).encode() + b"\n")
