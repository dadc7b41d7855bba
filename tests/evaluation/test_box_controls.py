from __future__ import annotations

import pytest

from osler.boxes import Box
from osler.errors import EvaluationError
from osler.evaluation.box_controls import centre_box, majority_classes, mean_box
from osler.records import ImageRef, Record, Region, Turn


def record(number, boxes, *, size=(100, 100), dataset="a", label="cyst", kind="abnormality", **tags):
    return Record(
        id=f"r{number}",
        images=(ImageRef(path=f"{number}.png", width=size[0], height=size[1]),),
        turns=(Turn(role="user", text="<image>\nwhere ?"), Turn(role="assistant", text="there")),
        regions=tuple(Region(box=Box(*box, *size), label=label) for box in boxes),
        tags={"question_type": kind, "dataset": dataset, **tags},
    )


def said(record, boxes, classes):
    return f"{[tuple(round(edge, 6) for edge in box.xyxy()) for box in boxes]} {list(classes)}"


TRAINING = [
    record(0, [(0, 0, 10, 20)]),
    record(1, [(0, 0, 40, 60)], size=(200, 200), label="mass"),
    record(2, [(50, 50, 100, 100)], label="mass"),
    record(3, [(80, 80, 90, 90)], dataset="b", label="scar"),
    record(4, []),
]


def test_boxes_are_medians_and_means_of_shares_within_a_data_set():
    wide = record(9, [], size=(400, 100))
    centre, mean = centre_box(TRAINING, said), mean_box(TRAINING, said)
    # widths .1 .2 .5, heights .2 .3 .5
    assert centre.answer(wide) == ("[(160.0, 35.0, 240.0, 65.0)] ['mass']", False)
    x1, y1, x2, y2 = (0 + 0 + 0.5) / 3, (0 + 0 + 0.5) / 3, (0.1 + 0.2 + 1) / 3, (0.2 + 0.3 + 1) / 3
    expected = tuple(round(edge, 6) for edge in (400 * x1, 100 * y1, 400 * x2, 100 * y2))
    assert mean.answer(wide) == (f"[{expected}] ['mass']", False)
    other = record(9, [], dataset="b")
    assert mean.answer(other) == ("[(80.0, 80.0, 90.0, 90.0)] ['scar']", False)
    unknown = record(9, [], dataset="c")
    assert mean.answer(unknown)[1]
    assert (mean.trained_on, mean.by) == (5, "data set")


def test_a_box_that_several_records_of_an_image_state_counts_once():
    again = [*TRAINING, TRAINING[2], TRAINING[2].model_copy(update={"id": "copy"})]
    assert mean_box(again, said).shares == mean_box(TRAINING, said).shares


def test_without_training_boxes():
    assert centre_box([], said).answer(record(9, [])) == ("[(25.0, 25.0, 75.0, 75.0)] []", True)
    with pytest.raises(EvaluationError, match="never computed on the test items"):
        mean_box([record(0, [])], said)
    with pytest.raises(EvaluationError, match="never computed on the test items"):
        majority_classes([], said)


def test_majority_is_the_commonest_set_of_classes():
    training = [*TRAINING, record(5, [], kind="region", category="cyst"), record(6, [], kind="region", category="cyst")]
    majority = majority_classes(training, said)
    assert majority.answer(record(9, [])) == ("[] ['mass']", False)
    assert majority.answer(record(9, [], kind="region")) == ("[] ['cyst']", False)
    assert majority.answer(record(9, [], dataset="b", kind="region")) == ("[] ['scar']", True)
    assert majority.answer(record(9, [], dataset="c")) == ("[] ['mass']", True)
    assert majority.trained_on == 7
