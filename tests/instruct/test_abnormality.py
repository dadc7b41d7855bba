"""Abnormality instructions: exact texts, order, what is left out and why."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from osler import box_formats
from osler.boxes import Box, iou
from osler.errors import BoxError, RecordError
from osler.instruct import wording as words
from osler.instruct.abnormality import abnormality_records
from osler.record_files import read_records, write_records
from osler.records import ImageRef, Provenance, Record, Region, Turn

W, H = 1000, 800


def region(x1, y1, x2, y2, label="polyp", size=(W, H)):
    return Region(box=Box(x1, y1, x2, y2, *size), label=label)


def picture(name, *regions, split="train", **more):
    return Record(
        id=f"raw-{name}-{len(regions)}-{len(more)}",
        images=(ImageRef(path=f"{name}.png", width=W, height=H),),
        turns=(Turn(role="user", text="<image>"),),
        regions=regions,
        **{
            "subject": f"s-{name}",
            "provenance": Provenance(source="toy", licence="CC0-1.0", split=split),
            "tags": {"modality": "endoscopy", "options": '["a", "b"]'},
            **more,
        },
    )


def run(*records, **options):
    skipped: list[tuple[str, str]] = []
    made = list(abnormality_records(records, on_skip=lambda r, why: skipped.append((r.id, why)), **options))
    return made, skipped


def test_the_golden_box_of_the_specification() -> None:
    (made,), _ = run(picture("a", region(100, 80, 400, 240)), wording="fixed")
    assert made.turns[0].text == (
        "<image>\nIs there an abnormality in this image? If so, give its location and name it."
    )
    assert made.answer == (
        "There is an abnormality. It lies at <box>(100,100),(400,300)</box>. This is consistent with polyp."
    )
    assert made.tags == {
        "modality": "endoscopy",
        "question_type": "abnormality",
        "answer_type": "OPEN",
        "box_format": "norm1000_xyxy",
        "category": "polyp",
        "dataset": "toy",
    }
    assert made.provenance.generator == "template:abnormality@1"
    assert (made.subject, made.provenance.split, made.provenance.licence) == ("s-a", "train", "CC0-1.0")


def test_several_regions_are_read_from_top_to_bottom_then_left_to_right() -> None:
    (made,), _ = run(
        picture("a", region(500, 400, 600, 480, "z"), region(300, 80, 400, 160, "b"), region(100, 80, 200, 160, "a"))
    )
    assert made.answer == (
        "There are three abnormalities. "
        "One lies at <box>(100,100),(200,200)</box>. This is consistent with a. "
        "Another lies at <box>(300,100),(400,200)</box>. This is consistent with b. "
        "Another lies at <box>(500,500),(600,600)</box>. This is consistent with z."
    )
    assert [r.label for r in made.regions] == ["a", "b", "z"]
    assert made.tags["category"] == "a|b|z"


@pytest.mark.parametrize(("count", "word"), [(2, "two"), (10, "ten"), (11, "11")])
def test_numbers_are_words_up_to_ten(count: int, word: str) -> None:
    (made,), _ = run(picture("a", *(region(10 * i, 10 * i, 10 * i + 8, 10 * i + 8) for i in range(count))))
    assert made.answer.startswith(f"There are {word} abnormalities. One lies at ")
    assert made.answer.count("Another lies at ") == count - 1
    assert made.tags["category"] == "polyp"


def test_negatives() -> None:
    (made,), _ = run(picture("a"))
    assert made.answer == "There is no abnormality."
    assert made.regions == ()
    assert "category" not in made.tags
    assert run(picture("a"), negatives=False) == ([], [("raw-a-0-0", "no region")])


def test_a_picture_is_normal_only_if_no_record_of_it_has_a_region() -> None:
    marked = picture("a", region(1, 1, 9, 9))
    made, skipped = run(picture("a"), marked)
    assert [r.answer for r in made] == [words.response(["<box>(1,1),(9,11)</box>"], ["polyp"])]
    assert skipped == [("raw-a-0-0", "no region here, but in another record of the picture")]


@pytest.mark.parametrize(
    "more",
    [
        {"tags": {"regions": "partial"}},
        {"provenance": Provenance(notes={"boxes_set_aside": 1})},
    ],
)
def test_a_picture_whose_boxes_are_not_all_there_is_no_negative(more) -> None:
    made, skipped = run(picture("a", **more))
    assert made == []
    assert "not all" in skipped[0][1]


def test_classes_filter_regions_and_name_the_near_one() -> None:
    both = picture("a", region(0, 0, 50, 50, "RBC"), region(100, 80, 400, 240, "WBC"))
    other = picture("b", region(0, 0, 50, 50, "RBC"))
    made, _ = run(both, other, classes=["WBC"])
    assert [r.answer for r in made] == [
        "There is an abnormality. It lies at <box>(100,100),(400,300)</box>. This is consistent with WBC.",
        "There is no abnormality.",
    ]
    assert [r.label for r in made[0].regions] == ["WBC"]
    with pytest.raises(RecordError, match="no region is labelled 'WBS'; did you mean 'WBC'"):
        run(both, classes=["WBS"])


def test_of_two_readers_the_one_who_saw_nothing_makes_no_negative() -> None:
    first = picture("a", region(0, 0, 50, 50, "other"))
    second = picture("a", region(0, 0, 50, 50, "mass"), region(60, 60, 90, 90, "other"))
    made, skipped = run(first, second, classes=["mass"])
    assert len(made) == 1
    assert skipped[0][1] == "no region here, but in another record of the picture"


def test_max_regions_skips_and_counts() -> None:
    many = picture("a", *(region(10 * i, 0, 10 * i + 8, 8) for i in range(4)))
    made, skipped = run(many, picture("b", region(1, 1, 9, 9)), max_regions=3)
    assert len(made) == 1
    assert Counter(why for _, why in skipped) == {"more than 3 regions": 1}


def test_the_same_picture_with_the_same_regions_is_asked_about_once() -> None:
    one, two = picture("a", region(1, 1, 9, 9)), picture("a", region(1, 1, 9, 9), study="x")
    assert one.id != two.id
    made, skipped = run(one, two)
    assert len(made) == 1
    assert skipped[0][1].startswith("same picture")


def test_several_images_are_left_out() -> None:
    pair = Record(
        id="pair",
        images=(ImageRef(path="a.png"), ImageRef(path="b.png")),
        turns=(Turn(role="user", text="<image><image>"),),
    )
    assert run(pair) == ([], [("pair", "not exactly one image")])


def test_given_region_asks_for_each() -> None:
    made, skipped = run(
        picture("a", region(500, 400, 600, 480, "b"), region(100, 80, 400, 240, "a")), picture("n"), given_region=True
    )
    assert [(r.question, r.answer) for r in made] == [
        ("What is the abnormality at <box>(100,100),(400,300)</box>?", "This is consistent with a."),
        ("What is the abnormality at <box>(500,500),(600,600)</box>?", "This is consistent with b."),
    ]
    assert [[r.label for r in record.regions] for record in made] == [["a"], ["b"]]
    assert {r.tags["question_type"] for r in made} == {"region"}
    assert len({r.id for r in made}) == 2
    assert skipped == [("raw-n-0-0", "no region")]


def test_wording_varies_by_seed_and_record_but_never_the_response() -> None:
    records = [picture(f"p{i}", region(100, 80, 400, 240)) for i in range(80)]
    varied, _ = run(*records)
    assert {r.question for r in varied} == {words.QUESTION, *words.PARAPHRASES}
    assert len(words.PARAPHRASES) == 8
    assert [r.question for r in varied] == [r.question for r in run(*records)[0]]
    assert [r.question for r in varied] == [r.question for r in reversed(run(*reversed(records))[0])]
    assert [r.question for r in varied] != [r.question for r in run(*records, seed=1)[0]]
    fixed, _ = run(*records, wording="fixed")
    assert {r.question for r in fixed} == {words.QUESTION}
    assert [(r.id, r.answer) for r in fixed] == [(r.id, r.answer) for r in varied]


def test_synonyms_are_kept_for_the_evaluation() -> None:
    (made,), _ = run(picture("a", region(1, 1, 9, 9)), synonyms={"polyp": ["adenoma"], "mass": ["lump"]})
    assert json.loads(made.tags["synonyms"]) == {"polyp": ["adenoma"]}


class Parrot:
    generator = "parrot-1"

    def __init__(self, answer):
        self.answer = answer
        self.notes = {"prompt_sha256": "0" * 64}

    def write(self, draft):
        return self.answer


def test_a_writer_replaces_the_response_of_pictures_with_regions_only() -> None:
    (made, normal), _ = run(picture("a", region(1, 1, 9, 9)), picture("n"), writer=Parrot("Words."))
    assert made.answer == "Words."
    assert made.provenance.generator == "parrot-1"
    assert made.provenance.notes["prompt_sha256"] == "0" * 64
    assert normal.answer == words.NO_ABNORMALITY
    assert normal.provenance.generator == words.GENERATOR
    made, skipped = run(picture("a", region(1, 1, 9, 9)), writer=Parrot(None))
    assert made == []
    assert "the writer" in skipped[0][1]


def test_nonsense_is_refused() -> None:
    with pytest.raises(RecordError, match="wording is 'free'"):
        run(wording="free")
    with pytest.raises(BoxError, match="did you mean 'norm1000_xyxy'"):
        run(box_format="norm1000_xyxyx")
    with pytest.raises(RecordError, match="given_region the template answers"):
        run(writer=Parrot(""), given_region=True)


@st.composite
def pictures(draw):
    width, height = draw(st.integers(8, 2000)), draw(st.integers(8, 2000))
    regions = []
    for _ in range(draw(st.integers(1, 12))):
        x1, y1 = draw(st.floats(0, width - 2)), draw(st.floats(0, height - 2))
        x2, y2 = draw(st.floats(x1 + 1, width)), draw(st.floats(y1 + 1, height))
        regions.append(region(x1, y1, x2, y2, draw(st.sampled_from(["a", "b c", "d-e"])), (width, height)))
    return Record(
        id="raw",
        images=(ImageRef(path="a.png", width=width, height=height),),
        turns=(Turn(role="user", text="<image>"),),
        regions=tuple(regions),
    )


@settings(max_examples=60, deadline=None)
@given(pictures(), st.sampled_from(box_formats.names()))
def test_the_boxes_in_the_text_are_those_of_the_regions_in_order(record, name) -> None:
    (made,), _ = run(record, box_format=name)
    size = (made.images[0].width, made.images[0].height)
    parsed = box_formats.parse_boxes(made.answer, format=name, width=size[0], height=size[1])
    codec = box_formats.get(name)
    # part of a pixel reads as shares of the picture: no detector or reader draws such a box
    assume(not any("fractions" in rejected.reason for rejected in parsed.rejected))
    assert parsed.rejected == ()
    assert [codec.encode(b) for b in parsed.boxes] == [
        codec.encode(codec.decode(codec.encode(r.box), *size)) for r in made.regions
    ]
    tops = [(r.box.y1, r.box.x1) for r in made.regions]
    assert tops == sorted(tops)
    assert Counter(r.label for r in made.regions) == Counter(r.label for r in record.regions)
    if name == "pixel_xyxy":
        assert all(iou(a, r.box) > 0.9 for a, r in zip(parsed.boxes, made.regions, strict=True))


def test_written_and_read_again(tmp_path) -> None:
    made, _ = run(picture("a", region(1, 1, 9, 9)), picture("n"))
    write_records(made, tmp_path / "out.jsonl")
    assert read_records(tmp_path / "out.jsonl").records == tuple(made)
