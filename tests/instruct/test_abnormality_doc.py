"""docs/abnormality.md says what the code does."""

from __future__ import annotations

import json
import re

from osler.instruct.abnormality import abnormality_records
from osler.record_validation import to_record
from osler.records import ImageRef, Provenance, Record, Turn
from osler.sources import get, names
from osler.sources.box_source import BoxSource
from tests.conftest import REPOSITORY
from tests.instruct.test_abnormality import region

TEXT = (REPOSITORY / "docs" / "abnormality.md").read_text(encoding="utf-8")
SOURCES = (REPOSITORY / "docs" / "sources.md").read_text(encoding="utf-8")


def test_the_record_shown_is_the_one_that_is_written() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", TEXT, flags=re.DOTALL)
    raw = Record(
        id="polyp",
        images=(ImageRef(path="polyp.png", width=1000, height=800),),
        turns=(Turn(role="user", text="<image>"),),
        regions=(region(100, 80, 400, 240),),
        provenance=Provenance(source="demo", licence="CC0-1.0", split="train"),
    )
    assert list(abnormality_records([raw], wording="fixed")) == [to_record(json.loads(example))]


def test_every_source_of_boxes_stands_in_the_tables_with_its_layout() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| .* \| (.*) \| .* \|$", TEXT, flags=re.MULTILINE))
    boxed = {name: source for name in names() if isinstance(source := get(name), BoxSource)}
    assert set(rows) == set(boxed)
    for name, source in boxed.items():
        assert source.layout in rows[name].replace("*", "")
        assert f"| `{name}` |" in SOURCES
