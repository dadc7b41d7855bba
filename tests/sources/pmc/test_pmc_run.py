"""Shards: the same bytes whatever the number of workers, after kill -9, and after an update."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.record_files import read_records
from osler.record_mentions import mentions_of
from osler.sources.pmc.figure_records import Outcome
from osler.sources.pmc.filters import Filters
from osler.sources.pmc.plan import Planned
from osler.sources.pmc.run import Settings, _ordered, locked
from osler.sources.pmc_oa import Selection, harvest
from tests.conftest import REPOSITORY

SMALL = Settings(shard_articles=4)


def output(folder: Path) -> dict[str, str]:
    """Records, rejects and counts of a harvest, without the plan and the mirror."""
    files = [*(folder / "figures").iterdir(), folder / "figures.rejects.jsonl", folder / "harvest.json"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def whole(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an uninterrupted harvest of the rehearsal articles gives."""
    folder = tmp_path_factory.mktemp("whole")
    harvest(folder, Selection("mirror", str(made)), settings=SMALL)
    return output(folder)


def test_counts(made: Path, tmp_path: Path) -> None:
    summary = harvest(tmp_path, Selection("mirror", str(made)), settings=SMALL)
    assert summary.left_out == {"licence": 1, "picture-missing": 1, "retracted": 1}
    assert (summary.articles, summary.older_versions, summary.with_records) == (24, 3, 22)
    records = [record for shard in summary.shards for record in read_records(shard)]
    assert summary.records == len(records) == summary.figures - 1
    assert len({record.id for record in records}) == len(records)
    facts = json.loads((tmp_path / "harvest.json").read_text())
    assert facts["records"] == len(records)
    # what the generator wrote: "Figs 1–n tell the whole story", with only the ends linked, or none
    for article in {record.study for record in records}:
        figures = [record for record in records if record.study == article]
        if len(figures) >= 3:
            assert all(any("tell the whole story" in m.text for m in mentions_of(record)) for record in figures)
    newest = next(record for record in records if record.study == "PMC900000007")
    assert newest.provenance.notes["version"] == 10
    assert newest.provenance.notes["title"] == "Made article 6: a rehearsal"


def test_the_number_of_workers_changes_nothing(made: Path, tmp_path: Path, whole: dict[str, str]) -> None:
    harvest(tmp_path, Selection("mirror", str(made)), settings=SMALL, workers=2)
    assert output(tmp_path) == whole


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_run_goes_on_and_ends_the_same(made: Path, tmp_path: Path, whole: dict[str, str]) -> None:
    command = [sys.executable, "-m", "osler", "data", "harvest", str(tmp_path), "--mirror", str(made)]
    command += ["--shard-articles", "4", "--workers", "2"]
    running = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("figures/*.done.json"))) < 2:
        assert running.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")  # Linux only
    workers = children.read_text().split() if children.exists() else []
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "workers outlive the run"
        time.sleep(0.01)
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("figures/*.done.json")}
    assert 2 <= len(done) < 6, "want a run killed in the middle"
    assert not (tmp_path / "harvest.json").exists()
    harvest(tmp_path, Selection("mirror", str(made)), settings=SMALL)
    assert output(tmp_path) == whole
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in done.items()), "finished shards were made again"


def test_an_update_makes_only_changed_shards_anew(made: Path, tmp_path: Path) -> None:
    mirror, out = tmp_path / "mirror", tmp_path / "out"
    shutil.copytree(made, mirror)
    selection = Selection("mirror", str(mirror))
    before = harvest(out, selection, settings=SMALL)
    stamps = {path: path.stat().st_mtime_ns for path in before.shards}
    path = mirror / "metadata" / "PMC900000001.1.json"
    path.write_text(path.read_text().replace('"is_retracted": false', '"is_retracted": true'))
    assert harvest(out, selection, settings=SMALL).left_out == before.left_out  # without an update the plan stays
    after = harvest(out, selection, settings=SMALL, update=True)
    assert after.left_out["retracted"] == before.left_out["retracted"] + 1
    assert [path for path in after.shards if path.stat().st_mtime_ns != stamps[path]] == [before.shards[0]]


def test_other_filters_make_other_shards_and_a_shorter_run_leaves_none_behind(made: Path, tmp_path: Path) -> None:
    selection = Selection("mirror", str(made))
    harvest(tmp_path, selection, settings=SMALL)
    settings = Settings(Filters(caption_keywords=("CT",)), shard_articles=4, format="parquet")
    summary = harvest(tmp_path, Selection("mirror", str(made), limit=5), settings=settings)
    assert sorted(path.name for path in (tmp_path / "figures").glob("*")) == sorted(
        f"figures-{n:06d}.{suffix}" for n in (0, 1) for suffix in ("parquet", "rejects.jsonl", "done.json")
    )
    records = [record for shard in summary.shards for record in read_records(shard)]
    assert records
    assert all("CT" in record.answer for record in records)


def test_a_folder_holds_one_harvest_at_a_time(made: Path, tmp_path: Path) -> None:
    harvest(tmp_path, Selection("mirror", str(made), limit=1))
    ids = tmp_path / "ids.txt"
    ids.write_text("PMC1\n")
    with pytest.raises(SourceError, match="harvest of another selection"):
        harvest(tmp_path, Selection("ids", str(ids)))
    with locked(tmp_path), pytest.raises(SourceError, match="another harvest is at work"):
        harvest(tmp_path, Selection("mirror", str(made), limit=1))


def kill(planned: Planned) -> Outcome:
    """Die as a process does when memory runs out."""
    if planned.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome()


def test_a_worker_that_is_killed_ends_the_run_with_a_remedy() -> None:
    items = [Planned(number, None, 0) for number in range(9)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool, pytest.raises(SourceError, match="with fewer workers"):
        list(_ordered(kill, items, pool, 4))


def test_a_file_in_the_place_of_the_folder_is_named(made: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="choose another folder"):
        harvest(tmp_path / "file", Selection("mirror", str(made)))


def test_a_mirror_without_articles_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        harvest(tmp_path / "out", Selection("mirror", str(tmp_path / "none")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no article"):
        harvest(tmp_path / "out2", Selection("mirror", str(tmp_path / "empty")))


def test_a_mirror_without_central_metadata_is_read(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "PMC900000001.1", tmp_path / "mirror" / "PMC900000001.1")
    assert harvest(tmp_path / "out", Selection("mirror", str(tmp_path / "mirror"))).records == 1
