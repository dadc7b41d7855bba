"""Boxes written anew for another family come from the exact regions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler import box_formats
from osler.boxes import Box
from osler.errors import BoxError, RecordError
from osler.instruct.abnormality import abnormality_records
from osler.instruct.box_text import box_format_of, reformat_boxes
from osler.records import ImageRef, Record, Region, Turn
from tests.instruct.test_abnormality import picture, pictures, region


def made(record, **options):
    return next(abnormality_records([record], **options))


@settings(max_examples=60, deadline=None)
@given(pictures(), st.sampled_from(box_formats.names()), st.sampled_from(box_formats.names()), st.booleans())
def test_rewriting_equals_writing_in_that_format(record, before, after, given_region) -> None:
    """Also where the old format is coarser: nothing of its rounding is left."""
    options = {"wording": "fixed", "given_region": given_region}
    olds = list(abnormality_records([record], box_format=before, **options))
    news = list(abnormality_records([record], box_format=after, **options))
    assert [reformat_boxes(old, after) for old in olds] == news


def test_coarse_to_fine_keeps_the_exact_numbers_and_tells_equal_texts_apart() -> None:
    record = made(picture("a", region(101, 81, 409, 249), region(102, 82, 408, 248)), box_format="norm100_xyxy")
    assert record.answer.count("{<10><10><40><31>}") == 2
    rewritten = reformat_boxes(record, "pixel_xyxy")
    assert rewritten.answer.index("[101, 81, 409, 249]") < rewritten.answer.index("[102, 82, 408, 248]")
    assert rewritten.id == record.id
    assert rewritten.tags["box_format"] == "pixel_xyxy"


def test_all_turns_and_extended_texts_are_rewritten_and_prose_stays() -> None:
    box = Box(100, 80, 400, 240, 1000, 800)
    text = "See figure (2) and [1]: <box>(100,100),(400,300)</box>, 12 mm."
    record = Record(
        id="r",
        images=(ImageRef(path="a.png"),),
        turns=(Turn(role="user", text=f"<image>\n{text}"), Turn(role="assistant", text=text)),
        extended=(text + text,),
        regions=(Region(box=box, label="x"),),
        tags={"box_format": "norm1000_xyxy"},
    )
    rewritten = reformat_boxes(record, "norm100_xyxy")
    wanted = "See figure (2) and [1]: {<10><10><40><30>}, 12 mm."
    assert [turn.text for turn in rewritten.turns] == [f"<image>\n{wanted}", wanted]
    assert rewritten.extended == (wanted + wanted,)


def test_a_box_that_is_no_region_is_not_left_behind_in_the_old_format() -> None:
    record = made(picture("a", region(100, 80, 400, 240)))
    turns = (record.turns[0], Turn(role="assistant", text=record.answer + " See <box>(1,1),(5,5)</box>."))
    with pytest.raises(RecordError, match=r"turns\.1\.text: record .* is no region"):
        reformat_boxes(record.model_copy(update={"turns": turns}), "norm100_xyxy")


def test_a_record_without_a_stated_format_is_refused() -> None:
    with pytest.raises(RecordError, match=r"tags\.box_format"):
        reformat_boxes(picture("a", region(1, 1, 9, 9)), "norm100_xyxy")
    with pytest.raises(BoxError, match="unknown"):
        reformat_boxes(made(picture("a", region(1, 1, 9, 9))), "norm99")


def test_a_negative_only_changes_its_tag() -> None:
    record = made(picture("a"))
    assert reformat_boxes(record, "pixel_xywh").turns == record.turns


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("qwen2_vl", "norm1000_xyxy"),
        ("qwen3-vl", "norm1000_xyxy"),
        ("Qwen-VL", "norm1000_xyxy"),
        ("llava", "norm1000_xyxy"),
        ("llava_next", "norm1000_xyxy"),
        ("osler_llava", "norm1000_xyxy"),
        ("minigpt", "norm100_xyxy"),
    ],
)
def test_families(family: str, name: str) -> None:
    assert box_format_of(family) == name


def test_qwen2_5_needs_a_choice_and_unknown_families_are_named() -> None:
    with pytest.raises(BoxError, match=r"as its processor resizes it.*Transform"):
        box_format_of("qwen2_5_vl")
    with pytest.raises(BoxError, match="did you mean 'llava'"):
        box_format_of("lava")
