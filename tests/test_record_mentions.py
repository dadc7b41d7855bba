"""Mentions and panels travel in a record's notes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.errors import RecordError
from osler.record_mentions import (
    MENTIONS_NOTE,
    Mention,
    Panel,
    mentions_note,
    mentions_of,
    panels_note,
    panels_of,
)
from osler.records import Provenance, Record, Turn

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)

TEXT = st.text(max_size=8)


def record(**notes: str) -> Record:
    return Record(id="r", turns=(Turn(role="user", text="x"),), provenance=Provenance(notes=notes))


@PATIENT
@given(st.lists(st.builds(Mention, TEXT.filter(bool), TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple), TEXT)))
def test_mentions_come_back(mentions: list[Mention]) -> None:
    assert mentions_of(record(mentions=mentions_note(mentions))) == tuple(mentions)


@PATIENT
@given(st.lists(st.builds(Panel, TEXT.filter(bool), TEXT)))
def test_panels_come_back(panels: list[Panel]) -> None:
    assert panels_of(record(panels=panels_note(panels))) == tuple(panels)


def test_without_notes_there_are_none() -> None:
    assert mentions_of(record()) == () == panels_of(record())


@pytest.mark.parametrize("note", ["[", "{}", "[1]", '[{"before": "x"}]', '[{"text": 3}]'])
def test_a_broken_note_names_record_and_field(note: str) -> None:
    with pytest.raises(RecordError, match="record 'r'") as caught:
        mentions_of(record(mentions=note))
    assert caught.value.field == f"provenance.notes.{MENTIONS_NOTE}"
