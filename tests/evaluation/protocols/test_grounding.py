"""Grounding and recognition protocols: golden values, failures, negatives, bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler import box_formats
from osler.boxes import Box, iou
from osler.errors import BoxError, EvaluationError
from osler.evaluation import protocols
from osler.evaluation.protocols.class_names import named_classes
from osler.evaluation.protocols.grounding_labelled import labelled_boxes
from osler.evaluation.protocols.regions import Regions

BOXED = ("grounding-iou", "grounding-acc50", "grounding-dice")
CLASSES = ("cyst", "mass", "renal cyst", "nodule")


def regions(*boxes, labels=None, size=(100, 100), **options):
    placed = tuple(Box(*corners, *size) for corners in boxes)
    return Regions(
        boxes=placed, labels=tuple(labels or ["cyst"] * len(boxes)), width=size[0], height=size[1],
        **{"box_format": "pixel_xyxy", **options},
    )  # fmt: skip


def score(name, answer, truth, options=CLASSES):
    return protocols.get(name).score(answer, "the reference", options=options, regions=truth)


def values(answer, truth):
    return [score(name, answer, truth).value for name in BOXED]


def test_golden_overlap():
    truth = regions([0, 0, 10, 10])
    assert values("It lies at [5, 0, 15, 10].", truth) == pytest.approx([1 / 3, 0, 1 / 2])
    assert values("[0, 0, 10, 10]", truth) == [1, 1, 1]
    half = regions([100, 80, 400, 240], size=(1000, 800))
    assert values("[100, 80, 400, 400]", half) == pytest.approx([0.5, 1, 2 / 3])  # 0.5 reaches the threshold
    assert values("[20, 20, 30, 30]", truth) == [0, 0, 0]
    assert score("grounding-iou", "[20, 20, 30, 30]", truth).parsed


def test_minigpt_text_on_the_original_image():
    truth = regions([100, 80, 400, 240], size=(1000, 800), box_format="norm100_xyxy")
    for name in BOXED:
        assert score(name, "{<10><10><40><30>}", truth).value == pytest.approx(1)
    # the same numbers as thousandths are another box
    other = regions([100, 80, 400, 240], size=(1000, 800), box_format="norm1000_xyxy")
    assert values("{<10><10><40><30>}", other) == [0, 0, 0]


@pytest.mark.parametrize(
    ("answer", "absent", "rejected"),
    [
        ("There is no abnormality.", 1, 0),
        ("It lies at [5, nan, 15, 10].", 0, 1),
        ("It lies at [1, 2, 3].", 0, 1),
        ("It lies at [5, 0, 5, 10].", 0, 1),
        ("It lies at [500, 0, 900, 10].", 0, 1),
        ("", 1, 0),
        ("   ", 1, 0),
    ],
)
def test_no_readable_box_is_a_failure_that_scores_0(answer, absent, rejected):
    for name in BOXED:
        result = score(name, answer, regions([0, 0, 10, 10]))
        assert (result.value, result.parsed) == (0, False)
        assert (result.detail["absent"], result.detail["rejected"]) == (absent, rejected)
    counts = score("grounding-acc50", answer, regions([0, 0, 10, 10])).detail
    assert (counts["tp"], counts["predicted"], counts["true"]) == (0, 0, 1)  # also of a blank answer
    labelled = score("grounding-labelled", answer, regions([0, 0, 10, 10]))
    assert (labelled.value, labelled.parsed, labelled.classes["cyst"].true) == (0, False, 1)


def test_several_boxes_are_paired_at_best_and_extra_ones_cost():
    truth = regions([0, 0, 10, 10], [50, 50, 60, 60])
    assert values("[50, 50, 60, 60] and [0, 0, 10, 10]", truth) == [1, 1, 1]
    assert values("[0, 0, 10, 10]", truth) == [0.5, 0.5, 0.5]
    assert values("[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 30], [30, 30, 40, 40]", truth) == [0.5, 0.5, 0.5]
    detail = score("grounding-acc50", "[0, 0, 10, 10], [20, 20, 30, 30], [30, 30, 40, 40]", truth).detail
    assert (detail["tp"], detail["predicted"], detail["true"]) == (1, 3, 2)
    assert (detail["precision"], detail["recall"], detail["f1"]) == pytest.approx((1 / 3, 1 / 2, 2 / 5))


def test_negative_items():
    nothing = regions()
    assert values("There is no abnormality.", nothing) == [1, 1, 1]
    assert values("It lies at [0, 0, 10, 10].", nothing) == [0, 0, 0]
    assert score("grounding-iou", "It lies at [0, 0, 10, 10].", nothing).parsed
    broken = score("grounding-iou", "It lies at [0, 0, 10].", nothing)
    assert (broken.value, broken.parsed) == (0, False)  # a box is stated, though none can be read
    assert not score("grounding-iou", "", nothing).parsed
    assert score("grounding-labelled", "There is no abnormality.", nothing).value == 1
    assert score("recognition-strict", "There is no abnormality.", nothing).value == 1
    assert score("recognition-strict", "This is consistent with cyst.", nothing).value == 0
    assert not protocols.get("recognition-lenient").applies(
        answer_type=None, reference="x", options=CLASSES, regions=nothing
    )


@pytest.mark.parametrize(
    ("answer", "labels", "strict", "lenient"),
    [
        ("This is consistent with CYST.", ["cyst"], 1, 1),
        ("This is consistent with cyst. This is consistent with mass.", ["cyst"], 0, 1),
        ("mass and cyst", ["cyst", "mass", "cyst"], 1, 1),
        ("a mass", ["cyst", "mass"], 0, 0),
        ("This is consistent with renal cyst.", ["cyst"], 0, 0),
        ("This is consistent with renal cyst.", ["renal cyst"], 1, 1),
        ("cystic", ["cyst"], 0, 0),
        ("a hole", ["cyst"], 0, 0),
        ("a growth", ["mass"], 1, 1),
    ],
)
def test_recognition(answer, labels, strict, lenient):
    truth = regions(*[[i, 0, i + 5, 5] for i in range(len(labels))], labels=labels, synonyms={"growth": "mass"})
    assert score("recognition-strict", answer, truth).value == strict
    assert score("recognition-lenient", answer, truth).value == lenient
    assert score("recognition-strict", answer, truth).parsed == bool(named_classes(answer, CLASSES, truth.synonyms))


def test_refusals_and_choices_of_recognition():
    truth = regions([0, 0, 5, 5])
    declined = score("recognition-strict", "I cannot tell whether it is a cyst.", truth)
    assert (declined.refusal, declined.value) == (True, 0)
    assert score("recognition-strict", "mass, cyst", truth).choice == "cyst|mass"
    assert score("recognition-lenient", "mass, cyst", truth).choice == "cyst"


def test_given_regions_and_phrases_decide_what_applies():
    def applying(asked):
        truth = regions([0, 0, 5, 5], asked=asked)
        known = {"answer_type": None, "reference": "x", "options": CLASSES, "regions": truth}
        return {name for name in protocols.names() if protocols.get(name).applies(**known)} - {
            name for name in protocols.names() if not protocols.get(name).needs_regions
        }

    recognition = {"recognition-strict", "recognition-lenient"}
    assert applying("boxes and classes") == {*BOXED, "grounding-labelled", *recognition}
    assert applying("boxes") == set(BOXED)
    assert applying("classes") == recognition
    protocol = protocols.get("grounding-iou")
    assert not protocol.applies(answer_type=None, reference="x", regions=None)
    with pytest.raises(EvaluationError, match="needs the item's regions"):
        protocol.score("x", "x")


def labels_of(answer, box_format="pixel_xyxy", **options):
    found = labelled_boxes(answer, CLASSES, regions([0, 0, 5, 5], box_format=box_format, **options))
    return [(box.xyxy(), label) for box, label in found]


def test_each_box_has_the_class_named_next_or_its_own_label():
    template = (
        "There are two abnormalities. One lies at <box>(100,100),(400,300)</box>. This is consistent with cyst. "
        "Another lies at <box>(500,500),(600,600)</box>. This is consistent with mass."
    )
    first, second = (10, 10, 40, 30), (50, 50, 60, 60)
    assert labels_of(template, "norm1000_xyxy") == [(first, "cyst"), (second, "mass")]
    qwen = "<ref>cyst</ref><box>(100,100),(400,300)</box> beside a mass <box>(500,500),(600,600)</box>"
    assert labels_of(qwen, "norm1000_xyxy") == [(first, "cyst"), (second, None)]
    listed = json.dumps(
        [{"bbox_2d": [10, 10, 40, 30], "label": "mass"}, {"bbox_2d": [50, 50, 60, 60], "label": "growth"}]
    )
    assert labels_of(listed, synonyms={"growth": "nodule"}) == [(first, "mass"), (second, "nodule")]
    assert labels_of("[10, 10, 40, 30] [50, 50, 60, 60] cyst, mass") == [(first, None), (second, "cyst")]


def test_labelled_grounding_counts_by_class():
    truth = regions([0, 0, 10, 10], [50, 50, 60, 60], labels=["cyst", "mass"])
    swapped = "At [0, 0, 10, 10] mass. At [50, 50, 60, 60] cyst."
    assert score("grounding-iou", swapped, truth).value == 1
    result = score("grounding-labelled", swapped, truth)
    assert (result.value, result.parsed) == (0, True)
    cyst = result.classes["cyst"]
    assert (cyst.true, cyst.predicted, cyst.hits, cyst.found, cyst.iou_found) == (1, 1, 0, 1, 1)
    half = score("grounding-labelled", "At [0, 0, 10, 10] cyst. At [50, 50, 60, 60] nodule.", truth)
    assert half.value == 0.5
    assert {name: (c.true, c.predicted, c.hits) for name, c in half.classes.items()} == {
        "cyst": (1, 1, 1), "mass": (1, 0, 0), "nodule": (0, 1, 0),
    }  # fmt: skip


CORNERS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 39), st.integers(1, 39)).map(
    lambda n: [n[0], n[1], n[0] + n[2], n[1] + n[3]]
)
BOXES = st.lists(CORNERS, max_size=4)


def spelt(boxes, label="cyst"):
    return " ".join(f"It lies at {[*map(float, box)]}. This is consistent with {label}." for box in boxes) or "Nothing."


@given(BOXES, BOXES)
def test_bounds_order_and_dice_above_iou(stated, true):
    truth, turned = regions(*true), regions(*reversed(true))
    for name in (*BOXED, "grounding-labelled"):
        found = score(name, spelt(stated), truth)
        assert 0 <= found.value <= 1
        assert found.value == pytest.approx(score(name, spelt(stated[::-1]), turned).value)
    assert score("grounding-dice", spelt(stated), truth).value >= score("grounding-iou", spelt(stated), truth).value
    # with one class only, naming changes nothing
    assert score("grounding-labelled", spelt(stated), truth).value == pytest.approx(
        score("grounding-iou", spelt(stated), truth).value
    )


@given(BOXES, BOXES, st.sampled_from([*CLASSES, ""]))
def test_a_superfluous_box_never_raises_a_score(stated, true, label):
    truth = regions(*true)
    extra = f"{spelt(stated)} It lies at [99, 99, 100, 100]. This is consistent with {label}."
    assert all(iou(box, Box(99, 99, 100, 100, 100, 100)) == 0 for box in truth.boxes)
    for name in (*BOXED, "grounding-labelled"):
        assert score(name, extra, truth).value <= score(name, spelt(stated), truth).value
    if len(stated) >= len(true) > 0:
        assert score("grounding-iou", extra, truth).value < 1


@given(BOXES.filter(bool), st.sampled_from(box_formats.names()))
def test_true_boxes_earn_nearly_everything_in_every_format(true, name):
    codec = box_formats.get(name)
    big = [[10 * edge for edge in box] for box in true]
    truth = regions(*big, size=(1000, 1000), box_format=name)
    answer = ", ".join(codec.to_text(box) for box in truth.boxes)
    assert score("grounding-iou", answer, truth).value > (0.3 if name == "norm100_xyxy" else 0.8)
    assert score("grounding-iou", answer, truth).detail["rejected"] == 0


@given(st.text(max_size=80))
def test_no_answer_breaks_a_protocol(answer):
    for name in (*BOXED, "grounding-labelled", "recognition-strict", "recognition-lenient"):
        assert 0 <= score(name, answer, regions([0, 0, 10, 10])).value <= 1


@given(BOXES)
def test_regions_survive_json(true):
    truth = regions(*true, classes=("cyst",), synonyms={"growth": "mass"}, asked="classes")
    assert Regions.from_json(json.loads(json.dumps(truth.to_json()))) == truth


def test_impossible_regions_are_refused():
    with pytest.raises(BoxError, match="1 boxes but 2 labels"):
        regions([0, 0, 5, 5], labels=["a", "b"])
    with pytest.raises(BoxError, match="not of 50 x 50"):
        Regions(boxes=(Box(0, 0, 5, 5, 100, 100),), labels=("a",), width=50, height=50)
