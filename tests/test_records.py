"""The record model: what it refuses, and that JSON gives it back."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from osler.boxes import Box
from osler.errors import RecordError
from osler.records import ImageRef, Record, Region, Turn
from tests.record_strategies import records

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def record(**changes) -> Record:
    fields = {
        "id": "a1",
        "images": [{"path": "a.png", "width": 100, "height": 80}],
        "turns": [{"role": "user", "text": "<image>\nWhat is seen?"}, {"role": "assistant", "text": "A mass."}],
    }
    return Record.model_validate({**fields, **changes})


@PATIENT
@given(records())
def test_json_round_trip(original):
    assert Record.model_validate_json(original.model_dump_json()) == original


def test_question_and_answer():
    assert record().question == "What is seen?"
    assert record().answer == "A mass."
    silent = Record(id="a", turns=[Turn(role="system", text="Be brief.")])
    for name in ("question", "answer"):
        with pytest.raises(RecordError, match="'a' has no turn of role"):
            getattr(silent, name)


BOX = {"xyxy": [1, 2, 30, 40], "size": [100, 80]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"turns": []}, "at least 1"),
        ({"turns": [{"role": "user", "text": "no image"}]}, "1 images but 0 <image>"),
        ({"turns": [{"role": "user", "text": "<image><image>"}]}, "1 images but 2 <image>"),
        ({"turns": [{"role": "user", "text": "<image>"}, {"role": "assistant", "text": "<image>"}]}, "only users"),
        ({"turns": [{"role": "tool", "text": "<image>"}]}, "role"),
        ({"extended": ["a", "b"]}, "2 extended texts for 1"),
        ({"id": ""}, "id"),
        ({"image": "a.png"}, "image"),
        ({"images": [{"path": "a.png", "width": 0}]}, "width"),
        ({"images": [{"path": "a.png", "sha256": "xyz"}]}, "sha256"),
        ({"images": [{"path": "a.png", "window": {"level": float("nan")}}]}, "window"),
        ({"provenance": {"notes": {"a": float("inf")}}}, "notes"),
        ({"provenance": {"notes": {"a": [1]}}}, "notes"),
        ({"regions": [{"box": BOX, "label": "mass", "image": 1}]}, "regions.0.image is 1"),
        ({"regions": [{"box": {**BOX, "size": [50, 50]}, "label": "mass"}]}, "image of 50 x 50"),
        ({"regions": [{"box": {**BOX, "xyxy": [1, 2, 300, 40]}, "label": "mass"}]}, "outside"),
        ({"regions": [{"box": {**BOX, "xyxy": [1, 2, 30]}, "label": "mass"}]}, "list of 4 numbers"),
        ({"regions": [{"box": {**BOX, "xyxy": ["1", 2, 30, 40]}, "label": "mass"}]}, "list of 4 numbers"),
        ({"regions": [{"box": {**BOX, "xyxy": [True, 2, 30, 40]}, "label": "mass"}]}, "list of 4 numbers"),
        ({"regions": [{"box": {**BOX, "size": [100.7, 80]}, "label": "mass"}]}, "whole pixels"),
        ({"regions": [{"box": {**BOX, "size": [float("inf"), 80]}, "label": "mass"}]}, "box"),
        ({"regions": [{"box": {**BOX, "size": [float("nan"), 80]}, "label": "mass"}]}, "box"),
        ({"regions": [{"box": [1, 2, 30, 40], "label": "mass"}]}, "want .*xyxy"),
        ({"regions": [{"box": BOX, "label": ""}]}, "label"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        record(**changes)


def test_a_box_object_is_taken_as_it_is():
    region = Region(box=Box(1, 2, 30, 40, 100, 80), label="mass")
    assert region.model_dump(mode="json")["box"] == {"xyxy": [1.0, 2.0, 30.0, 40.0], "size": [100, 80]}
    assert record(regions=[region]).regions[0].box == Box(1, 2, 30, 40, 100, 80)


def test_records_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        record().id = "b"
    with pytest.raises(ValidationError, match="frozen"):
        ImageRef(path="a").path = "b"


def test_importing_records_loads_nothing_heavy():
    heavy = "{'torch', 'transformers', 'pyarrow', 'PIL', 'datasets'}"
    program = f"import sys, osler.record_files, osler.box_formats; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
