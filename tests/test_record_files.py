"""Record files: formats, errors, rejects, atomic writes."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from osler import record_files
from osler.errors import RecordError
from osler.record_files import iter_records, read_records, write_records
from osler.record_ids import content_hash
from tests.record_strategies import record_sets, simple

SUFFIXES = (".jsonl", ".parquet", ".json")
MANY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=10, deadline=None
)


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
