"""Record files: formats, errors, rejects, atomic writes."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler import record_files
from osler.errors import OslerError, RecordError
from osler.record_atomic import atomic_write
from osler.record_files import iter_records, read_llava, read_records, write_llava, write_records
from osler.record_ids import content_hash
from osler.record_llava import llava_to_raw, record_to_llava
from osler.record_validation import to_record
from osler.records import Record
from tests.record_strategies import record_sets, records

SUFFIXES = (".jsonl", ".parquet", ".json")
MANY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=10, deadline=None
)


def simple(id: str = "a1", **changes) -> Record:
    fields = {
        "id": id,
        "images": [{"path": f"{id}.png", "width": 100, "height": 80}],
        "turns": [{"role": "user", "text": "<image>\nIs there a mass?"}, {"role": "assistant", "text": "Yes."}],
        "regions": [{"box": {"xyxy": [1, 2.5, 30, 40], "size": [100, 80]}, "label": "mass"}],
        "tags": {"answer_type": "CLOSED"},
    }
    return Record.model_validate({**fields, **changes})


@pytest.mark.parametrize("suffix", SUFFIXES)
@MANY
@given(originals=record_sets())
def test_round_trip(tmp_path, suffix, originals):
    path = tmp_path / f"set{suffix}"
    assert write_records(originals, path) == len(originals)
    back = read_records(path)
    assert list(back) == originals
    assert content_hash(back) == content_hash(originals)
    assert list(iter_records(path)) == originals


@pytest.mark.parametrize(("kind", "suffix"), [("json", ".jsonl"), ("parquet", ".parquet")])
def test_datasets_reads_our_files(tmp_path, kind, suffix):
    datasets = pytest.importorskip("datasets")
    originals = [simple(f"r{number}", extended=["Yes, a mass is seen."]) for number in range(3)]
    write_records(originals, tmp_path / f"train{suffix}")
    rows = datasets.load_dataset(
        kind, data_files=str(tmp_path / f"train{suffix}"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert rows["id"][:] == ["r0", "r1", "r2"]
    assert rows[1]["turns"] == [turn.model_dump() for turn in originals[1].turns]
    assert rows[2]["regions"][0]["box"] == {"xyxy": [1.0, 2.5, 30.0, 40.0], "size": [100, 80]}
    assert rows[0]["images"][0]["path"] == "r0.png"


def test_parquet_that_datasets_wrote_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    originals = [simple("a"), simple("b", tags={}, subject="p1")]
    write_records(originals, tmp_path / "ours.parquet")
    rows = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "ours.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    rows.to_parquet(str(tmp_path / "theirs.parquet"))
    assert list(read_records(tmp_path / "theirs.parquet")) == originals


# --- errors --------------------------------------------------------------------------------------------------------

GOOD = simple("good").model_dump_json(exclude_none=True)


def changed(**changes) -> str:
    return json.dumps({**json.loads(GOOD), **changes})


BAD_LINES = [
    ("{not json", "is not JSON"),
    ("[1, 2]", "is a list"),
    ("null", "not an object"),
    (changed(id=5), "id: .*string"),
    (changed(turns=[{"role": "user", "text": "none"}]), "1 images but 0"),
    (changed(turns=[{"role": "doctor", "text": "<image>"}]), r"turns\.0\.role: "),
    (changed(imagess=[]), "imagess: is no field of a record; did you mean 'images'"),
    (changed(images=[{"path": "a", "widht": 3}]), r"images\.0\.widht: is no field of a record; did you mean 'width'"),
    (changed(images=[{"width": 3}]), r"images\.0\.path: is missing"),
    (changed(provenance={"notes": {"a": [1]}}), r"provenance\.notes\.a: want text, a finite number"),
    (changed(regions=[{"box": {"xyxy": [1, 2, 300, 4], "size": [100, 80]}, "label": "m"}]), r"regions\.0\.box: box"),
    (changed(schema_version=2), "schema_version: version 2 is newer than 1.*upgrade Osler"),
    (changed(schema_version="1"), "schema_version: '1' is no schema version"),
    (GOOD[:-1] + ', "id": "twice"}', "key 'id' stands twice"),
    (GOOD[:-1] + ', "tags": {"a": NaN}}', "NaN is no JSON number"),
    ('{"id": "\\ud800", "turns": [{"role": "user", "text": "q"}]}', "id: .*unicode"),
    ("[" * 100_000, "nested too deeply"),
    ('{"id": ' + "9" * 5000 + "}", "is not JSON we accept"),
    (GOOD, "id: 'good' is already the id of line 1"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "set.jsonl"
    path.write_text(f"{GOOD}\n\n{line}\n")
    with pytest.raises(RecordError, match=message) as caught:
        read_records(path)
    assert caught.value.line == 3
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}:3: ")


def test_bad_lines_are_set_aside_with_their_text(tmp_path):
    path = tmp_path / "set.jsonl"
    lines = [GOOD, *(line for line, _ in BAD_LINES), changed(id="last")]
    path.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe{}\n")
    result = read_records(path, on_error="reject")
    assert [record.id for record in result] == ["good", "last"]
    assert len(result.rejected) == len(BAD_LINES) + 1
    assert result.rejects_file == tmp_path / "set.jsonl.rejects.jsonl"
    written = [json.loads(line) for line in result.rejects_file.read_text().splitlines()]
    assert [reject["line"] for reject in written] == [*range(2, len(BAD_LINES) + 2), len(BAD_LINES) + 3]
    assert [reject["raw"] for reject in written[:-1]] == [line for line, _ in BAD_LINES]
    assert written[-1] == {"line": 22, "reason": "is not UTF-8: invalid start byte at byte 0", "raw": "\\xff\\xfe{}"}
    assert all(reject["reason"] for reject in written)

    path.write_text(GOOD)  # mended: the old rejects must not go on telling of bad lines
    assert read_records(path, on_error="reject").rejects_file is None
    assert not record_files.rejects_path(path).exists()


def test_rejects_go_where_asked_and_reach_a_callback(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_text(f"{GOOD}\nbroken\n")
    result = read_records(path, on_error="reject", rejects=tmp_path / "elsewhere" / "bad.jsonl")
    assert result.rejects_file.is_file()
    seen = []
    assert len(list(iter_records(path, on_reject=seen.append))) == 1
    assert [(reject.line, reject.raw) for reject in seen] == [(2, "broken")]


def test_line_ends_and_marks_of_other_systems(tmp_path):
    path = tmp_path / "set.jsonl"
    odd = changed(id="odd", tags={"a": "line\u2028separator\x85"})
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n  \r\n" + odd.encode())
    assert [record.id for record in read_records(path)] == ["good", "odd"]


def test_unreadable_files(tmp_path):
    for name in ("no.jsonl", "no.parquet", "no.json"):
        with pytest.raises(RecordError, match=f"{name}: cannot be read: No such file"):
            read_records(tmp_path / name)
    (tmp_path / "set.csv").write_text("a,b")
    with pytest.raises(RecordError, match="unknown kind"):
        read_records(tmp_path / "set.csv")
    with pytest.raises(RecordError, match="unknown kind"):
        write_records([], tmp_path / "set.csv")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(RecordError, match=r"broken\.parquet: cannot be read as parquet"):
        read_records(tmp_path / "broken.parquet")
    with pytest.raises(RecordError, match="on_error"):
        read_records(tmp_path / "no.jsonl", on_error="ignore")


def test_foreign_and_damaged_parquet(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"question": ["q"]}), tmp_path / "foreign.parquet")
    with pytest.raises(RecordError, match="no column 'id'"):
        read_records(tmp_path / "foreign.parquet")

    write_records([simple("a"), simple("b")], tmp_path / "set.parquet")
    table = pq.read_table(tmp_path / "set.parquet")
    table = table.set_column(table.schema.get_field_index("tags"), "tags", pa.array(['{"a": "b"}', "{broken"]))
    pq.write_table(table, tmp_path / "damaged.parquet")
    with pytest.raises(RecordError, match=r"damaged\.parquet:2: tags: is not JSON"):
        read_records(tmp_path / "damaged.parquet")
    result = read_records(tmp_path / "damaged.parquet", on_error="reject")
    assert [record.id for record in result] == ["a"]
    assert json.loads(result.rejected[0].raw)["tags"] == "{broken"


# --- migration -----------------------------------------------------------------------------------------------------

VERSION_0 = {
    "id": "old",
    "image": "a.png",
    "width": 100,
    "height": 80,
    "question": "Is there a mass?",
    "answer": "Yes.",
    "boxes": [[1, 2.5, 30, 40]],
    "labels": ["mass"],
    "subject": "p1",
    "source": "demo",
    "split": "train",
}


@pytest.mark.parametrize("stated", [{}, {"schema_version": 0}])
def test_version_0_becomes_the_present_layout(tmp_path, stated):
    path = tmp_path / "old.jsonl"
    path.write_text(json.dumps({**VERSION_0, **stated}) + "\n" + GOOD)
    record = read_records(path)[0]
    images = [{"path": "a.png", "width": 100, "height": 80}]
    provenance = {"source": "demo", "split": "train"}
    assert record == simple("old", images=images, subject="p1", tags={}, provenance=provenance)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": None}, "boxes: .*need the image's width"),
        ({"labels": []}, "boxes: want two lists of the same length"),
        ({"question": None}, "question: is None; version 0 wants text"),
        ({"mrn": "123"}, "mrn: unknown field"),
        ({"boxes": [[1, 2, 3]]}, r"regions\.0\.box: xyxy"),
    ],
)
def test_malformed_version_0_is_refused(tmp_path, changes, message):
    (tmp_path / "old.jsonl").write_text(json.dumps({**VERSION_0, **changes}))
    with pytest.raises(RecordError, match=message):
        read_records(tmp_path / "old.jsonl")


# --- writing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_id_twice_is_not_written(tmp_path, suffix):
    path = tmp_path / f"set{suffix}"
    write_records([simple("kept")], path)
    before = path.read_bytes()
    with pytest.raises(RecordError, match="'a' is already the id of record 1; nothing was written"):
        write_records([simple("a"), simple("a")], path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failing_source_of_records_leaves_the_old_file(tmp_path, suffix):
    path = tmp_path / f"set{suffix}"
    write_records([simple("kept")], path)
    before = path.read_bytes()

    def broken():
        yield simple("a")
        raise KeyError("source failed")

    with pytest.raises(KeyError):
        write_records(broken(), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def many(count: int):
    return (simple(f"r{number}", tags={"noise": os.urandom(2000).hex()}) for number in range(count))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_size_limit_is_explained(tmp_path, suffix):
    path = tmp_path / f"set{suffix}"
    write_records([simple("kept")], path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(OslerError, match=rf"set{suffix}: cannot be written: .*limit.*the old file is unchanged"):
            write_records(many(400), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_explained_and_loses_nothing(small_disk, suffix):
    path = small_disk / f"set{suffix}"
    write_records([simple("kept")], path)
    before = path.read_bytes()
    with pytest.raises(OslerError, match=rf"set{suffix}: cannot be written: No space left.*free some space.*unchanged"):
        write_records(many(400), path)
    assert path.read_bytes() == before
    assert os.listdir(small_disk) == [path.name]


def test_atomic_write_keeps_permissions_and_links(tmp_path):
    target, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    write_records([simple("a")], target)
    target.chmod(0o640)
    link.symlink_to(target)
    write_records([simple("b")], link)
    assert link.is_symlink()
    assert read_records(target)[0].id == "b"
    assert target.stat().st_mode & 0o777 == 0o640
    with pytest.raises(OslerError, match="a folder has that name"), atomic_write(tmp_path):
        pass
    with pytest.raises(OslerError, match="is a file, not a folder"):
        write_records([], target / "below.jsonl")


def test_an_interrupt_leaves_the_old_file(tmp_path):
    path = tmp_path / "set.jsonl"
    write_records([simple("kept")], path)

    def interrupted():
        yield simple("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(interrupted(), path)
    assert read_records(path)[0].id == "kept"
    assert os.listdir(tmp_path) == ["set.jsonl"]


# --- LLaVA ---------------------------------------------------------------------------------------------------------


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
