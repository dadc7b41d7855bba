"""Writing: wholly or not at all, whatever the disk does."""

from __future__ import annotations

import os
import resource
import subprocess

import pytest

from osler.errors import OslerError, RecordError
from osler.record_atomic import atomic_write
from osler.record_files import read_records, write_records
from tests.record_strategies import simple

SUFFIXES = (".jsonl", ".parquet", ".json")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_id_twice_is_not_written(tmp_path, suffix):
    path = tmp_path / f"set{suffix}"
    write_records([simple("kept")], path)
    before = path.read_bytes()
    with pytest.raises(RecordError, match="'a' is already the id of record 1; nothing was written"):
        write_records([simple("a"), simple("a")], path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failing_source_of_records_leaves_the_old_file(tmp_path, suffix):
    path = tmp_path / f"set{suffix}"
    write_records([simple("kept")], path)
    before = path.read_bytes()

    def broken():
        yield simple("a")
        raise KeyError("source failed")

    with pytest.raises(KeyError):
        write_records(broken(), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def many(count: int):
    return (simple(f"r{number}", tags={"noise": os.urandom(2000).hex()}) for number in range(count))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_size_limit_is_explained(tmp_path, suffix):
    path = tmp_path / f"set{suffix}"
    write_records([simple("kept")], path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(OslerError, match=rf"set{suffix}: cannot be written: .*limit.*the old file is unchanged"):
            write_records(many(400), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_explained_and_loses_nothing(small_disk, suffix):
    path = small_disk / f"set{suffix}"
    write_records([simple("kept")], path)
    before = path.read_bytes()
    with pytest.raises(OslerError, match=rf"set{suffix}: cannot be written: No space left.*free some space.*unchanged"):
        write_records(many(400), path)
    assert path.read_bytes() == before
    assert os.listdir(small_disk) == [path.name]


def test_atomic_write_keeps_permissions_and_links(tmp_path):
    target, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    write_records([simple("a")], target)
    target.chmod(0o640)
    link.symlink_to(target)
    write_records([simple("b")], link)
    assert link.is_symlink()
    assert read_records(target)[0].id == "b"
    assert target.stat().st_mode & 0o777 == 0o640
    with pytest.raises(OslerError, match="a folder has that name"), atomic_write(tmp_path):
        pass
    with pytest.raises(OslerError, match="is a file, not a folder"):
        write_records([], target / "below.jsonl")


def test_an_interrupt_leaves_the_old_file(tmp_path):
    path = tmp_path / "set.jsonl"
    write_records([simple("kept")], path)

    def interrupted():
        yield simple("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(interrupted(), path)
    assert read_records(path)[0].id == "kept"
    assert os.listdir(tmp_path) == ["set.jsonl"]
