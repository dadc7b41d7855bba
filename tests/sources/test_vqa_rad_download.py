"""The download against a local HTTP server that serves OSF's layout; the real address is not exercised."""

from __future__ import annotations

import http.server
import io
import threading
import zipfile
from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.sources import vqa_rad
from osler.sources.vqa_rad_download import download, verify


@pytest.fixture
def serve():
    """Start a server that answers every GET with the given bytes."""
    servers = []

    def start(content: bytes) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/?zip="

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def archive(source: Path, *, leave_out: str = "", extra: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.write(source / vqa_rad.JSON_NAME, vqa_rad.JSON_NAME)
        zipped.writestr("Readme.docx", b"not wanted")
        for image in sorted((source / "images").iterdir()):
            if image.name != leave_out:
                zipped.write(image, f"VQA_RAD Image Folder/{image.name}")
        if extra:
            zipped.writestr(extra, b"evil")
    return buffer.getvalue()


def test_download_is_checked_and_readable(serve, shared_data, tmp_path):
    source = shared_data / "vqa_rad"
    folder = download(tmp_path / "vqa_rad", url=serve(archive(source, extra="../VQA_RAD Image Folder/../../evil.txt")))
    verify(folder)
    assert len(vqa_rad.load(folder)) == 451
    assert sorted(path.name for path in folder.iterdir()) == [vqa_rad.JSON_NAME, "images"]
    assert [path.name for path in tmp_path.iterdir()] == ["vqa_rad"]
    with pytest.raises(SourceError, match="not empty"):
        download(folder, url="http://127.0.0.1:1/")


def test_a_missing_image_leaves_nothing_behind(serve, shared_data, tmp_path):
    content = archive(shared_data / "vqa_rad", leave_out="synpic100132.jpg")
    with pytest.raises(SourceError, match="its 314 images are not the 315 published"):
        download(tmp_path / "vqa_rad", url=serve(content))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_archive_or_not_there(serve, tmp_path):
    with pytest.raises(SourceError, match="did not send a ZIP archive"):
        download(tmp_path / "a", url=serve(b"<html>sign in</html>"))
    with pytest.raises(SourceError, match="cannot be downloaded"):
        download(tmp_path / "a", url="http://127.0.0.1:1/", timeout=2)
    assert list(tmp_path.iterdir()) == []


def test_altered_questions_are_found(shared_data, tmp_path):
    text = (shared_data / "vqa_rad" / vqa_rad.JSON_NAME).read_text()
    (tmp_path / vqa_rad.JSON_NAME).write_text(text.replace('"No"', '"Yes"', 1))
    with pytest.raises(SourceError, match="altered or is a newer one"):
        verify(tmp_path)
