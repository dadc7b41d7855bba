"""Answers survive an interruption, also one in the middle of a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.errors import OslerError
from osler.instruct.journal import Journal


def test_entries_are_there_at_once_and_after_a_restart(tmp_path: Path) -> None:
    first = Journal(tmp_path / "sub" / "a.jsonl")
    assert not first.path.exists()
    first.add("k1", text="é")
    assert Journal(first.path).get("k1") == {"key": "k1", "text": "é"}, "on disk before it is closed"
    first.close()
    second = Journal(first.path)
    second.add("k2", text="b")
    second.close()
    assert set(Journal(first.path).entries) == {"k1", "k2"}


@pytest.mark.parametrize("torn", ['{"key": "k2", "te', '{"key": "k2"}', '{"key"'])
def test_a_torn_last_line_is_dropped_and_overwritten(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"key": "k1"}\n' + torn)
    journal = Journal(path)
    assert set(journal.entries) == {"k1"}
    journal.add("k3")
    journal.close()
    assert path.read_text() == '{"key": "k1"}\n{"key": "k3"}\n'


def test_a_file_that_is_no_journal_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("important\n")
    with pytest.raises(OslerError, match=r"a\.jsonl:1: is no entry"):
        Journal(path)
    assert path.read_text() == "important\n"
