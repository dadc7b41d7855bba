"""LLaVA's JSON in both directions."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.errors import RecordError
from osler.record_files import read_llava, read_records, write_llava
from osler.record_llava import llava_to_raw, record_to_llava
from osler.record_validation import to_record
from osler.records import Record
from tests.record_strategies import records


def llava(**changes) -> dict:
    item = {
        "id": "32432162_F1",
        "image": "32432162_F1.jpg",
        "conversations": [
            {"from": "human", "value": "What is seen?\n<image>"},
            {"from": "gpt", "value": "A CT scan."},
        ],
    }
    return {key: value for key, value in {**item, **changes}.items() if value is not ...}


def read_items(tmp_path: Path, *items, **options):
    path = tmp_path / "llava.json"
    path.write_text(json.dumps(items))
    return read_llava(path, **options)


def test_llava_item(tmp_path):
    flags = {"chest_xray": False, "ct_scan": True, "gross": True}
    item = llava(domain=flags, answer_type="CLOSED ", width=5, boxes=[[1, 2]])
    (record,) = read_items(tmp_path, item, source="LLaVA-Med", licence="CC BY-NC 4.0", split="train")
    assert record.images[0].path == "32432162_F1.jpg"
    assert [(turn.role, turn.text) for turn in record.turns] == [
        ("user", "What is seen?\n<image>"),
        ("assistant", "A CT scan."),
    ]
    assert record.tags == {"domain": "ct_scan+gross", "answer_type": "CLOSED "}
    assert record.provenance.notes["llava_domain.chest_xray"] is False
    assert (record.provenance.source, record.provenance.licence) == ("LLaVA-Med", "CC BY-NC 4.0")
    write_llava([record], tmp_path / "out.json")
    (out,) = json.loads((tmp_path / "out.json").read_text())
    assert out.pop("osler") == {"provenance": {"source": "LLaVA-Med", "licence": "CC BY-NC 4.0", "split": "train"}}
    assert out == item


def test_the_misspelt_key_is_read_and_the_right_one_written(tmp_path):
    item = llava()
    item["conversatons"] = item.pop("conversations")
    records = read_items(tmp_path, item)
    write_llava(records, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == [llava()]
    with pytest.raises(RecordError, match="both spellings"):
        read_items(tmp_path, llava(conversatons=[]))


@pytest.mark.parametrize("text", ["<image>\nWhat?", "What?\n<image>", "<image>What <b>?"])
def test_the_place_of_the_image_is_kept(tmp_path, text):
    (record,) = read_items(tmp_path, llava(conversations=[{"from": "human", "value": text}]))
    assert record.turns[0].text == text


def test_several_images_none_and_a_system_turn(tmp_path):
    several = [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "<image><image> Which?"}]
    records = read_items(
        tmp_path,
        llava(id=1, image=["a.jpg", "b.jpg"], conversations=several),
        llava(id="2", image=..., conversations=[{"from": "human", "value": "Text only."}]),
    )
    assert [image.path for image in records[0].images] == ["a.jpg", "b.jpg"]
    assert records[0].turns[0].role == "system"
    assert records[0].id == "1"
    assert records[1].images == ()
    write_llava(records, tmp_path / "out.json")
    first, second = json.loads((tmp_path / "out.json").read_text())
    assert first["image"] == ["a.jpg", "b.jpg"]
    assert first["conversations"] == several
    assert "image" not in second


def test_rewritten_answers(tmp_path):
    long = [{"from": "human", "value": "<image>\nWhat is seen?"}, {"from": "gpt", "value": "An axial CT scan."}]
    for key in ("conversations_long", "conversatons_long"):
        (record,) = read_items(tmp_path, llava(**{key: long}))
        assert record.extended == ("An axial CT scan.",)
    for wrong in (long[:1], [{**long[0], "value": "Other question?"}, long[1]]):
        with pytest.raises(RecordError, match=r"_long: is not the conversation with other answers"):
            read_items(tmp_path, llava(conversations_long=wrong))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (llava(id=...), "id: is missing"),
        (llava(id=True), "id: is missing"),
        (llava(conversations=...), "conversations: is missing"),
        (llava(conversations="text"), "conversations: is a str"),
        (llava(conversations=[{"from": "doctor", "value": "x"}]), r"conversations\.0\.from: 'doctor' is none of"),
        (llava(conversations=[{"from": "human"}]), r"conversations\.0: want"),
        (llava(image=5), "image: is 5"),
        (llava(image=...), "0 images but 1 <image>"),
        (llava(osler=5), "osler: want an object"),
        (llava(osler={"images": []}), r"osler\.images: want one object"),
        (llava(osler={"regions": 5}), "regions: "),
        ("text", "is a str"),
    ],
)
def test_malformed_items_are_named_and_set_aside(tmp_path, item, message):
    with pytest.raises(RecordError, match=message) as caught:
        read_items(tmp_path, llava(id="first"), item)
    assert caught.value.line == 2
    result = read_items(tmp_path, llava(id="first"), item, on_error="reject")
    assert [record.id for record in result] == ["first"]
    assert json.loads(result.rejected[0].raw) == item


def test_ids_can_be_derived(tmp_path):
    items = [llava(id=...), llava(id="x", image="2.jpg"), llava(id="x", image="3.jpg")]
    with pytest.raises(RecordError, match="derive_ids"):
        read_items(tmp_path, *items)
    records = read_items(tmp_path, *items, derive_ids=True)
    assert len({record.id for record in records}) == 3
    assert [record.tags.get("llava_id") for record in records] == [None, "x", "x"]
    assert [record.id for record in read_items(tmp_path, *reversed(items), derive_ids=True)] == [
        record.id for record in reversed(records)
    ]


def test_llava_as_lines_and_a_damaged_list(tmp_path):
    path = tmp_path / "llava.jsonl"
    path.write_text(json.dumps(llava()) + "\n" + json.dumps(llava(id="b")) + "\n")
    assert [record.id for record in read_llava(path)] == ["32432162_F1", "b"]
    assert [record.id for record in read_records(path, format="llava")] == ["32432162_F1", "b"]
    (tmp_path / "cut.json").write_text(json.dumps([llava()])[:-5])
    with pytest.raises(RecordError, match=r"cut\.json: is not JSON"):
        read_records(tmp_path / "cut.json")
    (tmp_path / "empty.json").write_text("[]")
    assert len(read_records(tmp_path / "empty.json")) == 0


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["id", "image", "conversations", "domain", "osler", "from", "value"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(ANY_JSON)
def test_any_json_is_an_item_or_a_record_error(item):
    with contextlib.suppress(RecordError):
        assert isinstance(to_record(item), Record)
    with contextlib.suppress(RecordError):
        assert isinstance(to_record(llava_to_raw(item, source="s", licence="l", split=None)), Record)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records())
def test_llava_items_lose_nothing(original):
    item = json.loads(json.dumps(record_to_llava(original)))
    assert to_record(llava_to_raw(item, source="unknown", licence="unstated", split=None)) == original
