"""The bucket itself, on a local S3-compatible server: ids, inventory, update, retries, and files that differ."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from osler.errors import RecordError, SourceError
from osler.sources.pmc import polite_http
from osler.sources.pmc.bucket import BucketStore
from osler.sources.pmc.candidates import WantedId, inventory, read_ids, search
from osler.sources.pmc.keys import ObjectRef
from osler.sources.pmc.made_articles import FIRST_NUMBER
from osler.sources.pmc.polite_http import PoliteClient, retry_after
from osler.sources.pmc.run import MAX_FAILURES, Settings
from osler.sources.pmc.stores import ObjectProblem
from osler.sources.pmc_oa import Access, Selection, harvest
from tests.conftest import REPOSITORY
from tests.sources.pmc_server import Answer, Bucket, answering, s3_server

SMALL = Settings(shard_articles=4)
OK: dict[str, str] = {}


@pytest.fixture(scope="module")
def new_bucket() -> Iterator[Callable[[], Bucket]]:
    with s3_server() as make_bucket:
        yield make_bucket


@pytest.fixture(scope="module")
def bucket(made: Path, new_bucket: Callable[[], Bucket]) -> Bucket:
    filled = new_bucket()
    filled.fill(made)
    return filled


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polite_http, "FIRST_WAIT", 0.01)


def access(url: str, **more: object) -> Access:
    return Access(url=url, rate=1000, **more)  # type: ignore[arg-type]


def store(url: str, folder: Path, **more: object) -> BucketStore:
    return BucketStore(folder, PoliteClient(rate=1000, **more), url=url)  # type: ignore[arg-type]


def records(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "figures").glob("*.jsonl")}


@pytest.fixture(scope="module")
def whole(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the same articles give from a local mirror."""
    folder = tmp_path_factory.mktemp("whole")
    harvest(folder, Selection("mirror", str(made)), settings=SMALL)
    return {name: data for name, data in records(folder).items() if "rejects" not in name}


def test_the_inventory_gives_what_a_mirror_gives(bucket: Bucket, tmp_path: Path, whole: dict[str, bytes]) -> None:
    summary = harvest(tmp_path, Selection("inventory"), settings=SMALL, access=access(bucket.url))
    assert {name: data for name, data in records(tmp_path).items() if "rejects" not in name} == whole
    assert summary.left_out == {"licence": 1, "picture-missing": 1, "retracted": 1}
    assert summary.older_versions == 3
    assert summary.images == tmp_path / "mirror"
    # neither what was filtered by its metadata nor texts nor older versions were fetched
    fetched = {path.name for path in (tmp_path / "mirror").iterdir()}
    assert not {"PMC900000010.1", "PMC900000014.2", "PMC900000007.9"} & fetched
    assert list((tmp_path / "mirror").rglob("*.txt")) == []


def test_ids_find_the_newest_version_or_the_one_that_is_named(bucket: Bucket, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("# articles\nPMC900000007\n900000001, \n\nPMC900000014.1 # not the newest\nPMC5\nPMC90000000\n")
    summary = harvest(tmp_path / "out", Selection("ids", str(ids)), access=access(bucket.url))
    found = [json.loads(line) for line in summary.shards[0].read_text().splitlines()]
    versions = {record["study"]: record["provenance"]["notes"]["version"] for record in found}
    assert versions == {"PMC900000001": 1, "PMC900000007": 10}
    assert summary.left_out == {"absent": 2, "retracted": 1}
    assert summary.older_versions == 1


def test_listings_of_several_pages(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = store(bucket.url, tmp_path)
    keys = [entry.key for entry in here.objects("metadata/")]
    assert len(keys) == 27
    real = here.client.get
    # a page of four keys: the server splits what the client asks for at once
    monkeypatch.setattr(here.client, "get", lambda url, params=None: real(url, {**(params or {}), "max-keys": "4"}))
    assert [entry.key for entry in here.objects("metadata/")] == keys
    assert [item.version.version for item in here.versions("PMC900000007")] == [9, 10]


def test_an_update_fetches_what_changed_and_nothing_else(
    made: Path, tmp_path: Path, new_bucket: Callable[[], Bucket]
) -> None:
    mirror = tmp_path / "changed"
    shutil.copytree(made, mirror)
    server = new_bucket()
    for part in ("metadata", "PMC900000002.1", "PMC900000003.1"):
        for path in (mirror / part).iterdir():
            server.put(f"{part}/{path.name}", path.read_bytes())
    ids = tmp_path / "ids.txt"
    ids.write_text("PMC900000002\nPMC900000003\n")
    out, selection = tmp_path / "out", Selection("ids", str(ids))
    first = harvest(out, selection, access=access(server.url))
    stamps = {path: path.stat().st_mtime_ns for path in (out / "mirror").rglob("*.*") if path.is_file()}
    name = "PMC900000003.1"
    xml = (mirror / name / f"{name}.xml").read_bytes().replace(b"<label>Figure 1<", b"<label>Figure 9<")
    metadata = json.loads((mirror / "metadata" / f"{name}.json").read_text())
    metadata["xml_url"] = metadata["xml_url"].partition("?")[0] + "?md5=" + hashlib.md5(xml).hexdigest()
    server.put(f"{name}/{name}.xml", xml)
    server.put(f"metadata/{name}.json", json.dumps(metadata).encode())
    second = harvest(out, selection, access=access(server.url), update=True)
    assert (first.records, second.records) == (5, 5)
    changed = {path.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert changed == {f"{name}.xml", f"{name}.json"}
    assert '"figure_label":"Figure 9"' in second.shards[0].read_text()


def test_a_killed_harvest_goes_on_without_fetching_again(
    bucket: Bucket, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "osler", "data", "harvest", str(out), "--inventory", "newest"]
    command += ["--url", bucket.url, "--rate", "60", "--shard-articles", "4", "--connections", "2"]
    running = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(out.glob("figures/*.done.json"))) < 2:
        assert running.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (out / "harvest.json").exists()
    stamps = {path: path.stat().st_mtime_ns for path in (out / "mirror").rglob("*.*") if path.is_file()}
    harvest(out, Selection("inventory"), settings=SMALL, access=access(bucket.url))
    assert {name: data for name, data in records(out).items() if "rejects" not in name} == whole
    kept = [path for path in stamps if not path.name.endswith(".tmp")]
    assert kept
    assert all(path.stat().st_mtime_ns == stamps[path] for path in kept)


def test_objects_are_checked(bucket: Bucket, tmp_path: Path) -> None:
    here = store(bucket.url, tmp_path, retries=1)
    bucket.put("PMC1.1/a b&é.jpg", b"picture")
    md5 = hashlib.md5(b"picture").hexdigest()
    assert here.file(ObjectRef("PMC1.1/a b&é.jpg", md5), limit=100).read_bytes() == b"picture"
    for ref, limit, code in (
        (ObjectRef("PMC1.1/none.jpg", md5), 100, "missing"),
        (ObjectRef("PMC1.1/", None), 100, "missing"),
        (ObjectRef("PMC1.1/a b&é.jpg", "0" * 32), 100, "wrong-md5"),
        (ObjectRef("PMC1.1/a b&é.jpg", None), 3, "too-large"),
        (ObjectRef("PMC1.1/a b&é.jpg", md5), 3, "too-large"),
    ):
        with pytest.raises(ObjectProblem) as caught:
            here.file(ref, limit=limit)
        assert (caught.value.code, caught.value.temporary) == (code, False)
    assert [path.name for path in (tmp_path / "PMC1.1").iterdir()] == ["a b&é.jpg"], "no temporary file is left"


def script(*answers: Answer) -> object:
    left = list(answers)
    return lambda path: left.pop(0) if len(left) > 1 else left[0]


def test_refusals_are_borne_with_patience(tmp_path: Path) -> None:
    later = {"Retry-After": "0.3"}
    with answering(script((503, OK, b""), (429, later, b""), (200, OK, b"x"))) as (url, asked):  # type: ignore[arg-type]
        began = time.monotonic()
        assert store(url, tmp_path).file(ObjectRef("PMC1.1/a", None), limit=9).read_bytes() == b"x"
    assert len(asked) == 3
    assert time.monotonic() - began >= 0.3


def test_a_broken_transfer_and_a_wrong_sum_are_repeated(tmp_path: Path) -> None:
    md5 = hashlib.md5(b"whole").hexdigest()
    short = (200, {"Content-Length": "99"}, b"who")
    with answering(script(short, (200, OK, b"wrong"), (200, OK, b"whole"))) as (url, asked):  # type: ignore[arg-type]
        assert store(url, tmp_path).file(ObjectRef("PMC1.1/a", md5), limit=99).read_bytes() == b"whole"
    assert len(asked) == 3


def test_an_etag_is_checked_where_no_sum_is_stated(tmp_path: Path) -> None:
    for etag, fits in ((hashlib.md5(b"x").hexdigest(), True), ("0" * 32, False), ("0" * 32 + "-2", True)):
        with answering(script((200, {"ETag": f'"{etag}"'}, b"x"))) as (url, _):  # type: ignore[arg-type]
            here = store(url, tmp_path, retries=0)
            if fits:
                assert here.file(ObjectRef("PMC1.1/a", None), limit=9).is_file()
            else:
                with pytest.raises(ObjectProblem, match="its ETag is"):
                    here.file(ObjectRef("PMC1.1/a", None), limit=9)


def test_redirects_and_refusals_of_the_request_stop_the_run(tmp_path: Path) -> None:
    for status, reason in ((301, "redirects are not followed"), (400, "status 400")):
        headers = {"Location": "http://localhost:9/"}
        with answering(script((status, headers, b""))) as (url, asked):  # type: ignore[arg-type]
            with pytest.raises(SourceError, match=reason):
                store(url, tmp_path).file(ObjectRef("PMC1.1/a", None), limit=9)
            assert len(asked) == 1


def test_a_bucket_that_is_down_stops_the_run_and_loses_nothing(bucket: Bucket, made: Path, tmp_path: Path) -> None:
    plan = tmp_path / "ids.txt"
    plan.write_text("\n".join(f"PMC{FIRST_NUMBER + n}" for n in range(MAX_FAILURES + 2)))
    out, selection = tmp_path / "out", Selection("ids", str(plan))
    with answering(lambda path: (503, OK, b"")) as (url, _), pytest.raises(SourceError, match="go on"):
        harvest(out, selection, access=access(url, retries=0))
    harvest(out, selection, access=access(bucket.url), settings=Settings(shard_articles=100))
    shutil.rmtree(out / "mirror")
    shutil.rmtree(out / "figures")
    with answering(lambda path: (503, OK, b"")) as (url, _), pytest.raises(SourceError, match="in a row"):
        harvest(out, selection, access=access(url, retries=0))


def test_a_proxy_that_forbids_everything_stops_the_run(bucket: Bucket, tmp_path: Path) -> None:
    def answer(path: str) -> Answer:
        if "list-type" not in path:
            return 403, OK, b"not here"
        got = client.get(bucket.url + path)
        return got.status_code, OK, got.content

    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(f"PMC{FIRST_NUMBER + n}" for n in range(MAX_FAILURES)))
    with httpx2.Client() as client, answering(answer) as (url, _), pytest.raises(SourceError, match="in a row"):
        harvest(tmp_path / "out", Selection("ids", str(ids)), access=access(url))


def test_what_could_not_be_fetched_for_now_is_tried_again(bucket: Bucket, made: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("PMC900000001\nPMC900000002\n")
    out, selection = tmp_path / "out", Selection("ids", str(ids))
    down, client = True, httpx2.Client()

    def answer(path: str) -> Answer:
        if down and path.endswith("PMC900000002.1.xml"):
            return 503, OK, b""
        got = client.get(bucket.url + path)
        return got.status_code, {"ETag": got.headers.get("etag", "")}, got.content

    with answering(answer) as (url, _):
        first = harvest(out, selection, access=access(url, retries=0))
        assert (first.unfetched, first.left_out) == (1, {"xml-unreachable": 1})
        down = False
        second = harvest(out, selection, access=access(url, retries=0))
    assert (second.unfetched, second.left_out) == (0, {})
    assert second.records == first.records + 2


def test_requests_keep_to_the_rate(tmp_path: Path) -> None:
    with answering(script((200, OK, b"x"))) as (url, asked):  # type: ignore[arg-type]
        client = PoliteClient(rate=20, connections=4)
        here = BucketStore(tmp_path, client, url=url)
        from concurrent.futures import ThreadPoolExecutor

        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: here.file(ObjectRef(f"PMC1.1/{n}", None), limit=9), range(11)))
        assert time.monotonic() - began >= 10 / 20 - 0.01
    assert len(asked) == 11


def test_offline_nothing_leaves_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSLER_OFFLINE", "1")
    with pytest.raises(SourceError, match="OSLER_OFFLINE is set"):
        harvest(tmp_path, Selection("inventory"))


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, 0), ("", 0), ("7", 7), ("-1", 0), ("soon", 0), ("nan", 0), ("Mon, 01 Jan 2001", 0)]
)
def test_retry_after(value: str | None, seconds: float) -> None:
    assert retry_after(value) == seconds


def test_inventories_are_checked(made: Path, tmp_path: Path, new_bucket: Callable[[], Bucket]) -> None:
    server = new_bucket()
    with pytest.raises(SourceError, match="no inventory"):
        list(inventory(store(server.url, tmp_path)))
    for path in (made / "inventory-reports").rglob("*"):
        if path.is_file():
            server.put(path.relative_to(made).as_posix(), path.read_bytes())
    assert len(list(inventory(store(server.url, tmp_path), day="2026-11-01"))) == 27
    with pytest.raises(SourceError, match="there are 2026-11-01 to 2026-11-01"):
        list(inventory(store(server.url, tmp_path), day="2026-10-01"))
    data = next((made / "inventory-reports").rglob("*.gz"))
    server.put(data.relative_to(made).as_posix(), b"damaged")
    with pytest.raises(SourceError, match="MD5 is not the manifest's"):
        list(inventory(store(server.url, tmp_path)))


@pytest.mark.parametrize("line", ["PMC", "10.1/x", "PMC1.2.3", "PMC-1"])
def test_lines_that_are_no_id(tmp_path: Path, line: str) -> None:
    path = tmp_path / "ids.txt"
    path.write_text(f"PMC1\n{line}\n")
    with pytest.raises(RecordError, match="is no id") as caught:
        read_ids(path)
    assert caught.value.line == 2


def esearch(count: int, ids: list[int]) -> Answer:
    body = {"esearchresult": {"count": str(count), "idlist": [str(id) for id in ids]}}
    return 200, OK, json.dumps(body).encode()


def test_a_query_is_read_page_by_page() -> None:
    from urllib.parse import parse_qs, urlsplit

    def answer(path: str) -> Answer:
        start = int(parse_qs(urlsplit(path).query)["retstart"][0])
        return esearch(2500, list(range(start, min(start + 1000, 2500))))

    with answering(answer) as (url, asked):
        found = search(PoliteClient(rate=1000), "ct[Title]", since="2026-01", until="2026-02-03", url=url)
    assert found == [WantedId(number, None) for number in range(2500)]
    assert [parse_qs(urlsplit(path).query)["retstart"] for path in asked] == [["0"], ["1000"], ["2000"]]
    term = parse_qs(urlsplit(asked[0]).query)["term"][0]
    assert term == '(ct[Title]) AND open_access[Filter] AND ("2026/01"[pmcrdat] : "2026/02/03"[pmcrdat])'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (esearch(0, []), "finds no open-access article"),
        (esearch(20_000, [1]), "finds 20000 articles"),
        ((200, OK, b"<html/>"), "answers no ESearch result"),
        ((200, OK, b'{"esearchresult": {"ERROR": "bad term"}}'), "bad term"),
        ((404, OK, b""), "status 404"),
    ],
)
def test_queries_that_fail(answer: Answer, reason: str) -> None:
    with answering(lambda path: answer) as (url, _), pytest.raises(SourceError, match=reason):
        search(PoliteClient(rate=1000), "x", url=url)


def test_a_query_is_harvested(bucket: Bucket, tmp_path: Path) -> None:
    with answering(lambda path: esearch(2, [900000001, 900000002])) as (url, _):
        summary = harvest(tmp_path, Selection("query", "made"), access=access(bucket.url, search_url=url))
    assert (summary.articles, summary.records) == (2, 3)
