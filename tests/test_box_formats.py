"""Codecs and the tolerant parser."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler import boxes
from osler.box_formats import MAX_TEXT, get, names, parse_boxes
from osler.boxes import Box
from osler.errors import BoxError

STYLES = ("brackets", "box", "qwen", "json", "minigpt")
GOLDEN = Box(100, 80, 400, 240, 1000, 800)


@st.composite
def any_boxes(draw):
    width, height = draw(st.integers(2, 4000)), draw(st.integers(2, 4000))
    x1, y1 = draw(st.floats(0, width - 1)), draw(st.floats(0, height - 1))
    x2, y2 = draw(st.floats(x1 + 0.5, width)), draw(st.floats(y1 + 0.5, height))
    return Box(x1, y1, x2, y2, width, height)


def step(name: str, box: Box) -> float:
    """One step of rounding, in pixels of the image."""
    codec = get(name)
    side = max(box.width, box.height)
    return 10.0**-codec.decimals * (1 if codec.top is None else side / codec.top) + 1e-6


@pytest.mark.parametrize(
    ("name", "numbers", "text"),
    [
        ("pixel_xyxy", (100, 80, 400, 240), "[100, 80, 400, 240]"),
        ("pixel_xywh", (100, 80, 300, 160), "[100, 80, 300, 160]"),
        ("norm1_xyxy", (0.1, 0.1, 0.4, 0.3), "[0.1, 0.1, 0.4, 0.3]"),
        ("norm100_xyxy", (10, 10, 40, 30), "{<10><10><40><30>}"),
        ("norm1000_xyxy", (100, 100, 400, 300), "<box>(100,100),(400,300)</box>"),
        ("llava_square", (0.1, 0.18, 0.4, 0.34), "[0.1, 0.18, 0.4, 0.34]"),
    ],
)
def test_known_values(name, numbers, text):
    assert get(name).encode(GOLDEN) == numbers
    assert get(name).to_text(GOLDEN) == text
    assert get(name).decode(numbers, 1000, 800) == GOLDEN


def test_labels_stand_in_the_marks_of_each_notation():
    codec = get("norm1000_xyxy")
    assert codec.to_text(GOLDEN, "left lung", style="qwen") == (
        "<|object_ref_start|>left lung<|object_ref_end|><|box_start|>(100,100),(400,300)<|box_end|>"
    )
    assert codec.to_text(GOLDEN, "left lung", style="json") == '{"bbox_2d": [100, 100, 400, 300], "label": "left lung"}'
    assert codec.to_text(GOLDEN, "left lung") == "<ref>left lung</ref><box>(100,100),(400,300)</box>"
    assert get("norm100_xyxy").to_text(GOLDEN, "left lung") == "<p>left lung</p> {<10><10><40><30>}"
    assert get("pixel_xywh").to_text(GOLDEN, style="json") == '{"bbox": [100, 80, 300, 160]}'


def test_rounding_rules():
    edge = Box(15, 25, 999, 799, 1000, 1000)  # 1.5, 2.5 hundredths
    assert get("norm100_xyxy").encode(edge) == (1, 2, 99, 79)  # down
    assert get("norm1000_xyxy").encode(Box(0.5, 1.5, 2.5, 3.4999, 1000, 1000)) == (1, 2, 3, 3)  # halves up
    assert get("norm100_xyxy").encode(Box(0.29, 0.57, 0.58, 1, 1, 1)) == (29, 57, 58, 100)  # 0.29 * 100 is 28.99...
    assert get("llava_square", decimals=2).encode(Box(123, 0, 457, 1000, 1000, 1000)) == (0.12, 0.0, 0.46, 1.0)
    assert get("pixel_xyxy", decimals=0).encode(Box(1.5, 2.4, 3.6, 9.9, 10, 10)) == (2, 2, 4, 10)


@pytest.mark.parametrize("name", names())
def test_a_sliver_keeps_an_area(name):
    for sliver in (Box(500, 500, 500.001, 500.001, 1000, 1000), Box(999.999, 0, 1000, 0.001, 1000, 1000)):
        decoded = get(name).decode(get(name).encode(sliver), 1000, 1000)
        assert decoded.area > 0
        assert max(abs(a - b) for a, b in zip(decoded.xyxy(), sliver.xyxy(), strict=True)) <= step(name, sliver)


@pytest.mark.parametrize("name", names())
@settings(deadline=None)
@given(box=any_boxes())
def test_round_trip_moves_edges_by_less_than_a_step(name, box):
    decoded = get(name).decode(get(name).encode(box), box.width, box.height)
    assert max(abs(a - b) for a, b in zip(decoded.xyxy(), box.xyxy(), strict=True)) <= step(name, box)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", names())
@settings(max_examples=25, deadline=None)
@given(box=any_boxes(), label=st.none() | st.sampled_from(["tumour", "left lung (upper)", "a, b {c} [d]", "Läsion"]))
def test_text_is_read_back(name, style, box, label):
    codec = get(name)
    text = f"There is a finding. It lies at {codec.to_text(box, label, style=style)}. Consistent with disease."
    parsed = parse_boxes(text, format=name, width=box.width, height=box.height)
    if codec.top is None and max(codec.encode(box)) <= 1 and any(number % 1 for number in codec.encode(box)):
        assert "fractions" in parsed.rejected[0].reason
        return
    assert parsed.rejected == ()
    assert parsed.boxes == (codec.decode(codec.encode(box), box.width, box.height),)
    assert parsed.labels == (None if style == "brackets" else label,)
    assert not parsed.swapped
    assert not parsed.truncated


@pytest.mark.parametrize("name", names())
def test_strict_decoding_refuses(name):
    good = get(name).encode(GOLDEN)
    for numbers in (
        good[:3],
        (*good, 1),
        (float("nan"), *good[1:]),
        (float("inf"), *good[1:]),
        tuple(5000 * number for number in good),
        (-good[2], *good[1:]),
    ):
        with pytest.raises(BoxError):
            get(name).decode(numbers, 1000, 800)


def test_strict_decoding_refuses_swapped_corners_and_empty_sizes():
    with pytest.raises(BoxError, match="swapped"):
        get("pixel_xyxy").decode((400, 80, 100, 240), 1000, 800)
    with pytest.raises(BoxError, match="positive"):
        get("pixel_xywh").decode((400, 80, -100, 240), 1000, 800)
    with pytest.raises(BoxError, match="no area"):
        get("llava_square").decode((0.1, 0.0, 0.2, 0.09), 1000, 800)  # wholly in the padded border


def test_llava_numbers_refer_to_the_square():
    """LLaVA's numbers read as plain fractions would lie elsewhere: the confusion this codec exists for."""
    numbers = get("llava_square").encode(GOLDEN)
    assert numbers != get("norm1_xyxy").encode(GOLDEN)
    assert get("llava_square").decode(numbers, 1000, 800) == GOLDEN
    assert boxes.iou(get("norm1_xyxy").decode(numbers, 1000, 800), GOLDEN) == pytest.approx(0.5)


def test_registry():
    assert len(names()) == len(set(names())) == 6
    with pytest.raises(BoxError, match="did you mean 'norm1000_xyxy'"):
        get("norm1000_xyx")
    with pytest.raises(BoxError, match="0-6"):
        get("norm1_xyxy", decimals=9)
    with pytest.raises(BoxError, match="style"):
        get("norm1_xyxy").to_text(GOLDEN, style="xml")
    with pytest.raises(BoxError, match="label"):
        get("norm1000_xyxy").to_text(GOLDEN, "a</ref>b")


# --- parser: what models write -------------------------------------------------------------------------------------


def read(text: str, format: str = "norm1000_xyxy"):
    return parse_boxes(text, format=format, width=1000, height=1000)


@pytest.mark.parametrize(
    ("text", "corners"),
    [
        ("100, 80, 400, 240", [(100, 80, 400, 240)]),
        ("100 80 400 240.", [(100, 80, 400, 240)]),
        ("(100, 80, 400, 240)", [(100, 80, 400, 240)]),
        ("(100,80),(400,240)", [(100, 80, 400, 240)]),
        ("{100, 80, 400,240}", [(100, 80, 400, 240)]),
        ("<100><80><400><240>", [(100, 80, 400, 240)]),
        ("{<100><80><400><240>}<delim>{<1><2><3><4>}", [(100, 80, 400, 240), (1, 2, 3, 4)]),
        ("[[1,2,3,4],[5,6,7,8]]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("<box>[[1,2,3,4]]</box>", [(1, 2, 3, 4)]),
        ("<box>(1,2),(3,4)(5,6),(7,8)</box>", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("<|box_start|>(1769, 13), (1778, 27)<|box_end|>", []),
        ("<box>(100,80),(400,240) is the tumour", [(100, 80, 400, 240)]),
        ("```json\n[{'bbox_2d': [1.5, 2, 3, 4]}]\n```", [(1.5, 2, 3, 4)]),
        ("No abnormality. See [1] and [2, 3] (figure 4, 2021).", []),
        ("", []),
    ],
)
def test_notations(text, corners):
    assert [box.xyxy() for box in read(text).boxes] == corners


def test_one_label_for_several_boxes():
    parsed = read("<ref>nodules</ref><box>(1,2),(3,4)</box><box>(5,6),(7,8)</box> and elsewhere <box>(1,2),(9,9)</box>")
    assert parsed.labels == ("nodules", "nodules", None)


def test_json_cut_off_by_the_token_limit_keeps_the_complete_boxes():
    parsed = read('```json\n[{"bbox_2d": [100, 80, 400, 240], "label": "mass"}, {"bbox_2d": [1,2,3')
    assert [(item.box.xyxy(), item.label) for item in parsed.items] == [((100, 80, 400, 240), "mass")]
    assert [reject.reason for reject in parsed.rejected] == ["cut off before its end"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1, 2, 3]", "3 numbers, want 4"),
        ("<box>(100,80),(400", "3 numbers, want 4"),
        ("<box></box>", "0 numbers"),
        ("[nan, 1, 2, 3]", "not finite"),
        ("[1, 2, 3, -inf]", "not finite"),
        ("[1e999, 1, 2, 3]", "not finite"),
        ("[" + "9" * 500 + ", 1, 2, 3]", "500 characters"),
        ("[5, 5, 5, 9]", "no area"),
        ("[0.1, 0.2, 0.3, 0.4]", "fractions"),
        ("[-500, 2, 300, 40]", "outside"),
        ("[10, 2, 3000, 40]", "outside"),
        ('{"box_2d": [1, 2, 30, 40]}', "y before x"),
        ('{"bbox_2d": null}', "no list"),
        ("the levels 1, 2, 3, 4 are affected", "bare numbers"),
        ("[x1=1, y1=2, x2=3, y2=5]", "not only numbers"),
        ("<box>(1,2) to (3,4)</box>", "not only numbers"),
    ],
)
def test_rejected_with_reason(text, reason):
    parsed = read(text)
    assert parsed.items == ()
    assert len(parsed.rejected) == 1
    assert reason in parsed.rejected[0].reason
    assert len(parsed.rejected[0].text) <= 120


def test_repairs_are_counted():
    parsed = read("[400, 240, 100, 80] [-5, 2, 1050, 40] [1, 2, 3, 4]")
    assert [box.xyxy() for box in parsed.boxes] == [(100, 80, 400, 240), (0, 2, 1000, 40), (1, 2, 3, 4)]
    assert (parsed.swapped, parsed.clipped) == (1, 1)


def test_llava_box_that_reaches_into_the_border_is_cut_and_counted():
    parsed = parse_boxes("[0.1, 0.0, 0.4, 0.34]", format="llava_square", width=1000, height=800)
    assert parsed.boxes == (Box(100, 0, 400, 240, 1000, 800),)
    assert parsed.clipped == 1


def test_text_is_read_up_to_a_bound():
    parsed = read("x" * (MAX_TEXT - 12) + "[1, 2, 3, 4] and [5, 6, 7, 8]")
    assert [box.xyxy() for box in parsed.boxes] == [(1, 2, 3, 4)]
    assert parsed.truncated


def test_mistakes_of_the_caller_raise():
    with pytest.raises(BoxError, match="unknown"):
        parse_boxes("", format="xyxy", width=10, height=10)
    with pytest.raises(BoxError, match="not positive"):
        parse_boxes("", format="pixel_xyxy", width=0, height=10)


TAGS = ["<box>", "</box>", "<|box_start|>", "<ref>", "</ref>", '"bbox_2d": ', '"label": "']
MARKS = ["[", "]", "(", ")", "{", "}", "<", ">", ",", " ", "\n", '"', "'", "\\"]
VALUES = ["1", "250", "-3", "0.5", "1e9", "nan", "inf", "word", "é", "٣"]
ALPHABET = [*TAGS, *MARKS, *VALUES]


@settings(deadline=None)
@given(st.lists(st.sampled_from(ALPHABET), max_size=60).map("".join) | st.text(max_size=200), st.sampled_from(names()))
def test_never_raises_and_boxes_are_valid(text, name):
    parsed = parse_boxes(text, format=name, width=640, height=480)
    assert all((box.width, box.height) == (640, 480) and box.area > 0 for box in parsed.boxes)
    assert max(parsed.swapped, parsed.clipped) <= len(parsed.items)


REPEATED = [*TAGS, *MARKS, *VALUES, "1 ", "<1", "(1)", "<1>,", '{"bbox_2d":[1,2,3,4],', "[1 2 3 4]", '{"a":', "a,"]


@pytest.mark.parametrize("piece", [*REPEATED, "1.", "1e", "-", "<ref> ", "((1,2),", "(1,2),(", "[1,", "<box>1 "])
def test_no_output_takes_long(piece):
    start = time.process_time()
    read(piece * 100_000)
    assert time.process_time() - start < 2  # measured: at most 0.05 s; quadratic scanning takes minutes


def test_where_a_box_stands_in_the_text():
    text = "a <ref>mass</ref><box>(1,2),(3,4)</box>, then [5, 6, 7, 8]."
    found = read(text).items
    assert [text[item.start : item.end] for item in found] == ["<box>(1,2),(3,4)</box>", "[5, 6, 7, 8]"]
    together = read("<box>(1,2),(3,4),(5,6),(7,8)</box>").items
    assert len(together) == 2
    assert (together[0].start, together[0].end) == (together[1].start, together[1].end)
