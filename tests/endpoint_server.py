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

    def __init__(self, answer: Callable[[dict[str, Any]], Reply | float], models: tuple[str, ...] | None) -> None:
        self.answer, self.asked, self.headers, self.url, self.models = answer, [], [], "", models
        self.under_way = self.most_at_once = 0


def replies(*given: Reply | float) -> Callable[[dict[str, Any]], Reply | float]:
    """One reply after the other; the last one stays."""
    left = list(given)
    return lambda body: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def serving(
    answer: Callable[[dict[str, Any]], Reply | float], *, models: tuple[str, ...] | None = ("m",), port: int = 0
):
    script, lock = Script(answer, models), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/v1/models" or script.models is None:
                self._send(failure(404, "no such path"))
                return
            body = {"object": "list", "data": [{"id": name, "object": "model"} for name in script.models]}
            self._send((200, {"content-type": "application/json"}, json.dumps(body).encode()))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            script.asked.append(body)
            script.headers.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            with lock:
                script.under_way += 1
                script.most_at_once = max(script.most_at_once, script.under_way)
            reply = script.answer(body)
            if isinstance(reply, float):
                time.sleep(reply)
                reply = chat("late")
            with lock:
                script.under_way -= 1
            self._send(reply)

        def _send(self, reply: Reply) -> None:
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

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
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
