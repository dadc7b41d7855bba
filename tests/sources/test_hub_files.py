"""Downloads against a local server that answers as the Hub's interface does; the real address is not exercised.

https://huggingface.co/docs/hub/api: `/api/datasets/{repository}/tree/{revision}` lists files, `/datasets/{repository}/
resolve/{revision}/{path}` gives one.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from osler.errors import SourceError
from osler.sources import get, own_copy
from osler.sources.hub_files import HubFiles, fetch, unpack
from tests.sources.test_slake import row

REVISION = "a" * 40


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (20, 10), 90).save(buffer, "JPEG")
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("imgs/xmlab1/source.jpg", jpeg())
        zipped.writestr("../evil.jpg", b"evil")
        zipped.writestr("/absolute.jpg", b"evil")
        zipped.writestr("imgs/run.py", b"evil")
        zipped.writestr("__MACOSX/imgs/._source.jpg", b"no picture")
        link = zipfile.ZipInfo("imgs/link.jpg")
        link.external_attr = 0o120777 << 16
        zipped.writestr(link, "/etc/passwd")
    return buffer.getvalue()


FILES = {"test.json": json.dumps([row(0)]).encode(), "imgs.zip": archive(), "large.bin": b"not wanted"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """Address of the server, and the paths that were asked for."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def reply(self, *, body: bool) -> None:
            asked.append(self.path)
            name = self.path.split(f"{REVISION}/")[-1]
            if "/tree/" in self.path:
                rows = [{"type": "file", "path": n, "size": len(c), "oid": "b" * 40} for n, c in FILES.items()]
                content, headers = json.dumps(rows).encode(), {"Content-Type": "application/json"}
            elif self.path.endswith("/revision/main"):
                content = json.dumps({"id": "BoKelvin/SLAKE", "sha": REVISION, "siblings": []}).encode()
                headers = {"Content-Type": "application/json"}
            elif name in FILES:
                content = FILES[name]
                headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": REVISION}
            else:
                self.send_error(404)
                return
            self.send_response(200)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def do_GET(self) -> None:
            self.reply(body=True)

        def do_HEAD(self) -> None:
            self.reply(body=False)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def files(revision: str = REVISION) -> HubFiles:
    return HubFiles("BoKelvin/SLAKE", revision, ("test.json", "imgs.zip"), "a little", archives=("imgs.zip",))


def test_the_fixed_revision_is_fetched_and_archives_are_unpacked(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    said: list[str] = []
    assert fetch(files(), tmp_path / "out", endpoint=hub[0], say=said.append) == REVISION
    found = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert {name for name in found if not name.startswith(".cache")} == {
        "test.json", "imgs.zip", "imgs/xmlab1/source.jpg",
    }  # fmt: skip
    assert not list(tmp_path.rglob("evil*")) + list(tmp_path.rglob("absolute*"))
    assert all(REVISION in path for path in hub[1])
    assert not any("large.bin" in path for path in hub[1])
    assert said == ["downloading https://huggingface.co/datasets/BoKelvin/SLAKE (a little)"]


def test_another_revision_may_be_named_and_has_to_exist(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"SLAKE: cannot be downloaded: .*from=FOLDER"):
        fetch(files(), tmp_path / "out", revision="b" * 40, endpoint=hub[0] + "/nowhere")


def test_a_branch_is_looked_up_and_its_commit_told(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    assert fetch(files("main"), tmp_path / "out", endpoint=hub[0]) == REVISION
    assert hub[1][0].endswith("/revision/main")
    assert all(REVISION in path for path in hub[1][1:])
    assert (tmp_path / "out" / "test.json").read_bytes() == FILES["test.json"]


def test_a_source_downloads_only_when_told_and_goes_on_to_records(
    hub: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_copy, "fetch", partial(fetch, endpoint=hub[0]))
    with pytest.raises(SourceError, match="download=yes"):
        get("slake").get(tmp_path / "slake")
    assert hub[1] == []
    fetched = get("slake").get(tmp_path / "slake", download="yes", revision=REVISION)
    assert (fetched.files, fetched.images) == ({"test.jsonl": 1}, None)
    assert fetched.remarks[0] == f"Fetched at commit {REVISION}."
    assert get("slake").get(tmp_path / "slake").files == {"test.jsonl": 1}, "the second time from the copy"


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSLER_OFFLINE", "1")
    with pytest.raises(SourceError, match="OSLER_OFFLINE is set"):
        fetch(files(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(archive()[:-40])
    with pytest.raises(SourceError, match=r"a\.zip: cannot be unpacked"):
        unpack(tmp_path / "a.zip", tmp_path)
