"""A real HTTP server on this machine that answers chat requests by a script."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


def chat(text: Any) -> Reply:
    body = {"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": text}}]}
    return 200, {"content-type": "application/json"}, json.dumps(body).encode()


def failure(status: int, message: str = "busy", **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, sent, json.dumps({"error": {"message": message}}).encode()


class Script:
    """What the server was asked, and what it answers: `answer(body)` gives a reply, or seconds to be silent."""

    def __init__(self, answer: Callable[[dict[str, Any]], Reply | float]) -> None:
        self.answer, self.asked, self.headers, self.url = answer, [], [], ""


def replies(*given: Reply | float) -> Callable[[dict[str, Any]], Reply | float]:
    """One reply after the other; the last one stays."""
    left = list(given)
    return lambda body: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def serving(answer: Callable[[dict[str, Any]], Reply | float]):
    script = Script(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            script.asked.append(body)
            script.headers.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            reply = script.answer(body)
            if isinstance(reply, float):
                time.sleep(reply)
                reply = chat("late")
            status, headers, data = reply
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:  # the client has given up
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
