"""ClinKD's metrics on Med-GRIT: leniencies kept, means over modalities that count absent ones as 0."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.evaluation import protocols
from osler.evaluation.items import Item
from osler.evaluation.protocols.clinkd_text import clean, corners, iou
from osler.evaluation.scores import score_items, summarise

BOX = "<box>(100,100),(300,300)</box>"


def value(name, answer, reference):
    return protocols.get(name).score(answer, reference).value


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("A cyst.<|im_end|>\nmore", "A cyst."),
        ("A cyst<|im_end|>\n", "A cyst"),
        ("assistant\nA cyst\nend", "A cyst"),
        ("one line\n", "one line"),
        ("A cyst<|endoftext|><|endoftext|>", "A cyst"),
        ("  ", ""),
    ],
)
def test_cleaning(raw, cleaned):
    assert clean(raw) == cleaned


def test_recall_of_boxes():
    two = f"{BOX} and <box>(500,500),(600,600)</box>"
    assert value("clinkd-vg-recall", f"It is at {BOX}.", BOX) == 1.0
    assert value("clinkd-vg-recall", "(100,100),(300,300)", BOX) == 1.0  # untagged pairs are read
    assert value("clinkd-vg-recall", BOX, two) == 0.5
    # half of the area on either side: IoU is exactly 0.5, and that is not above it
    assert value("clinkd-vg-recall", "<box>(100,100),(300,200)</box>", BOX) == 0.0
    assert value("clinkd-vg-recall", "<box>(100,100),(300,201)</box>", BOX) == 1.0
    # ninety-nine superfluous boxes cost nothing, as released; ours halves the score for the first
    many = BOX + "".join(f"<box>({n},0),({n + 9},9)</box>" for n in range(99))
    assert value("clinkd-vg-recall", many, BOX) == 1.0
    # one box may meet both of two true ones
    assert value("clinkd-vg-recall", BOX, f"{BOX}<box>(110,100),(310,300)</box>") == 1.0
    assert not protocols.get("clinkd-vg-recall").accepts("no box")
    assert protocols.get("clinkd-vg-recall").score("It is in the lung.", BOX).parsed is False


def test_classification_is_substrings():
    assert value("clinkd-roc-substring", "This is a CYST of the liver", "liver cyst") == 1.0  # order is ignored
    assert value("clinkd-roc-substring", "this", "is") == 1.0
    assert value("clinkd-roc-substring", "not a liver cyst but a tumor", "liver cyst") == 1.0
    assert value("clinkd-roc-substring", "cyst", "liver cyst") == 0.0


def test_mbmr_of_identical_texts_is_one_but_for_meteor():
    text = "the heart is enlarged and there is a small effusion"
    score = protocols.get("clinkd-mia-mbmr").score(text, text)
    # METEOR punishes even one chunk: 1 - 0.5 / 10^3
    assert score.value == pytest.approx((5 + 1 - 0.5 / 10**3) / 6, abs=1e-6)
    assert value("clinkd-mia-mbmr", "kidney", text) < 1e-3


def item(number, modality, reference="cyst"):
    return Item(
        id=str(number), question="q", reference=reference, question_type="RO", answer_type=None,
        images=(f"{number}.png",), cluster=f"{number}.png", tags={"modality": modality},
    )  # fmt: skip


def test_macro_is_over_eight_modalities():
    items = [item(0, "ct"), item(1, "ct"), item(2, "mr"), item(3, "mr"), item(4, "mr")]
    answers = {"0": "cyst", "1": "no", "2": "cyst", "3": "cyst", "4": "cyst"}
    protocol = protocols.get("clinkd-roc-substring")
    scored = score_items(protocol, items, answers)
    summary = summarise(protocol, items, scored, seed=0)
    assert summary["mean"] == pytest.approx(0.8)
    assert summary["pooled"]["accuracy"]["mean"] == pytest.approx(0.8)
    assert summary["macro"]["accuracy"]["mean"] == pytest.approx((0.5 + 1.0) / 8, abs=1e-6)
    assert summary["macro"]["tag"] == "modality"
    assert summary["macro"]["groups"] == ["ct", "mr"]
    assert (
        summary["macro"]["accuracy"]["low"]
        <= summary["macro"]["accuracy"]["mean"]
        <= summary["macro"]["accuracy"]["high"]
    )


def test_a_modality_without_items_counts_nothing_in_mbmr():
    text = "the heart is enlarged and there is a small effusion"
    items = [item(0, "ct", text), item(1, "mr", text)]
    protocol = protocols.get("clinkd-mia-mbmr")
    summary = summarise(protocol, items, score_items(protocol, items, {"0": text, "1": text}), seed=0)
    whole = summary["pooled"]["mbmr"]["mean"]
    assert whole == pytest.approx(1.0, abs=1e-3)
    assert summary["macro"]["mbmr"]["mean"] == pytest.approx(whole * 2 / 8)
    # of another data set, whose items know no modality, there is no such mean
    others = [item(0, "unknown", text)]
    assert "macro" not in summarise(protocol, others, score_items(protocol, others, {"0": text}), seed=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<box>(1,2),(3,4)</box>", [(1, 2, 3, 4)]),
        ("<box>(0.5439, 0.0557), (0.7109, 0.2549)</box>", [(0.5439, 0.0557, 0.7109, 0.2549)]),
        ("<box>(-1,2),(3,4)</box>", [(-1, 2, 3, 4)]),
        ("<box>(1,2),(3,4),(5,6),(7,8)</box>", []),
        ("<box>(1,2),(3,nan)</box>", []),
        ("<box>the left lung</box>", []),
        ("<box>(1,2),\n(3,4)</box>", []),  # a line end inside
        ("(1,2),(3,4)", [(1, 2, 3, 4)]),
        ("(1.5,2),(3,4)", []),  # untagged ones must be whole numbers without spaces
        ("<box>none</box> (1,2),(3,4)", []),  # and are read only where nothing is tagged
    ],
)
def test_corners(text, expected):
    assert corners(text, bare=True) == expected


CORNERS = st.tuples(*[st.integers(0, 1000)] * 4)


@given(first=CORNERS, second=CORNERS)
def test_iou_is_symmetric_and_bounded(first, second):
    assert 0.0 <= iou(first, second) <= 1.0
    assert iou(first, second) == iou(second, first)
    if first[0] < first[2] and first[1] < first[3]:
        assert iou(first, first) == 1.0


@given(boxes=st.lists(CORNERS, max_size=5))
def test_written_boxes_are_read(boxes):
    text = " and ".join(f"<box>({a},{b}),({c},{d})</box>" for a, b, c, d in boxes)
    assert corners(text, bare=False) == [tuple(map(float, box)) for box in boxes]
