"""A local S3-compatible server (moto) that holds rehearsal articles, and servers that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

Answer = tuple[int, dict[str, str], bytes]


class Bucket:
    """A public bucket on this machine."""

    def __init__(self, url: str, client: Any) -> None:
        self.url, self._client = url, client
        client.put(url, headers={"x-amz-acl": "public-read"}).raise_for_status()

    def put(self, key: str, data: bytes) -> None:
        """Upload an object that anybody may read."""
        headers = {"x-amz-acl": "public-read"}
        self._client.put(f"{self.url}/{quote(key)}", content=data, headers=headers).raise_for_status()

    def fill(self, folder: Path) -> None:
        """Upload a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(path.relative_to(folder).as_posix(), path.read_bytes())


@contextmanager
def s3_server() -> Iterator[Callable[[], Bucket]]:
    """A moto server; each call makes an empty bucket in it.

    The buckets have other names than the metadata's addresses: what is asked for is decided by the address of the
    bucket alone.
    """
    import logging

    import httpx2
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    numbers = count()
    try:
        with httpx2.Client() as client:
            yield lambda: Bucket(f"http://{host}:{port}/bucket-{next(numbers)}", client)
    finally:
        server.stop()


@contextmanager
def answering(answer: Callable[[str], Answer]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers GET with what a function of the path says; its address, and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
