"""The endpoint client against a real server on this machine."""

from __future__ import annotations

import base64
import io
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest
from PIL import Image

from osler import endpoint as module
from osler.endpoint import ChatEndpoint, data_url, is_private
from osler.errors import EndpointError, OslerError
from tests.endpoint_server import chat, failure, replies, serving

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is shown?"}]
KEY = "sk-very-secret-123"


@pytest.fixture
def waits(monkeypatch):
    """Seconds the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(module, "_sleep", slept.append)
    return slept


def test_a_request_is_what_the_chat_interface_defines() -> None:
    with serving(replies(chat("A polyp."))) as server, ChatEndpoint(server.url, "m", api_key=KEY, seed=3) as endpoint:
        assert endpoint.complete(ASK) == "A polyp."
    assert server.asked == [{"model": "m", "messages": ASK, "temperature": 0.0, "max_tokens": 512, "seed": 3}]
    assert server.headers[0]["path"] == "/v1/chat/completions"
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_without_key_and_seed_neither_is_sent() -> None:
    with serving(replies(chat(""))) as server, ChatEndpoint(server.url + "/chat/completions/", "m") as endpoint:
        assert endpoint.complete(ASK) == ""
    assert "seed" not in server.asked[0]
    assert "authorization" not in server.headers[0]
    assert server.headers[0]["path"] == "/v1/chat/completions"


def test_pictures_go_before_the_text_of_the_last_user_message() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    ask = [{"role": "user", "content": "first"}, *ASK, {"role": "assistant", "content": "Yes"}]
    with serving(replies(chat("ok"))) as server, ChatEndpoint(server.url, "m") as endpoint:
        endpoint.complete(ask, images=[Image.fromarray(pixels), Image.new("L", (2, 2))])
    sent = server.asked[0]["messages"]
    assert sent[0] == ask[0]
    parts = sent[2]["content"]
    assert [part["type"] for part in parts] == ["image_url", "image_url", "text"]
    assert parts[2]["text"] == "What is shown?"
    encoded = parts[0]["image_url"]["url"].removeprefix("data:image/png;base64,")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))), pixels)
    assert ask[2] == ASK[1], "the caller's messages are not changed"


def test_metadata_of_a_picture_do_not_travel() -> None:
    image = Image.new("RGB", (2, 2))
    image.info["Patient"] = "Doe"
    image.info["exif"] = b"Exif\0\0Doe"
    assert b"Doe" not in base64.b64decode(data_url(image).split(",")[1])


def test_429_waits_as_long_as_the_server_asks(waits) -> None:
    with serving(replies(failure(429, retry_after="7"), failure(503), chat("ok"))) as server:
        assert ChatEndpoint(server.url, "m").complete(ASK) == "ok"
    assert waits == [7.0, 1.0]
    assert len(server.asked) == 3


def test_retry_after_may_be_a_date_and_is_bounded(waits) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    given = [failure(429, retry_after=value) for value in (soon, "86400", "nonsense", "-3", "nan")]
    with serving(replies(*given, chat("ok"))) as server:
        assert ChatEndpoint(server.url, "m", retries=5).complete(ASK) == "ok"
    assert 15 < waits[0] <= 20
    assert waits[1:] == [60.0, 2.0, 4.0, 8.0]


def test_500_is_repeated_so_often_and_no_more(waits) -> None:
    failed = pytest.raises(EndpointError, match="status 500: out of memory, 3 times in a row")
    with serving(replies(failure(500, "out of memory"))) as server, failed as caught:
        ChatEndpoint(server.url, "m", retries=2).complete(ASK)
    assert len(server.asked) == 3
    assert waits == [0.5, 1.0]
    assert server.url in str(caught.value)
    assert isinstance(caught.value, OslerError)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_repeated_and_the_key_is_not_told(status: int, waits) -> None:
    refused = pytest.raises(EndpointError, match=rf"status {status}: Incorrect key \*\*\*")
    with serving(replies(failure(status, f"Incorrect key {KEY}"))) as server, refused as caught:
        ChatEndpoint(server.url, "m", api_key=KEY).complete(ASK)
    assert len(server.asked) == 1
    assert waits == []
    assert KEY not in str(caught.value)


def test_a_redirect_is_not_followed(waits) -> None:
    refused = pytest.raises(EndpointError, match="redirects are not followed")
    with serving(replies(chat("stolen"))) as other:
        moved = (307, {"location": other.url}, b"")
        with serving(replies(moved)) as server, refused:
            ChatEndpoint(server.url, "m").complete(ASK)
    assert other.asked == []


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((200, {}, b"<html>login</html>"), "no chat answer: <html>login</html>"),
        ((200, {}, b"{}"), "no chat answer"),
        ((200, {}, b"[1]"), "no chat answer"),
        ((200, {}, b'{"choices": []}'), "no chat answer"),
        (chat(None), "the answer is a NoneType"),
        ((200, {}, b"\xff\xfe" * 400), "no chat answer"),
    ],
)
def test_garbage_is_an_error_that_says_so(reply, reason: str) -> None:
    with serving(replies(reply)) as server, pytest.raises(EndpointError, match=reason) as caught:
        ChatEndpoint(server.url, "m").complete(ASK)
    assert len(str(caught.value)) < 400


def test_silence_is_a_timeout_and_is_repeated(waits) -> None:
    with serving(replies(0.4, chat("ok"))) as server:
        assert ChatEndpoint(server.url, "m", timeout=0.15).complete(ASK) == "ok"
    late = pytest.raises(EndpointError, match=r"no answer within 0\.15 s, 2 times in a row")
    with serving(replies(0.4)) as server, late:
        ChatEndpoint(server.url, "m", timeout=0.15, retries=1).complete(ASK)


def test_nobody_listens(waits) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match="cannot be reached"):
        ChatEndpoint(f"http://127.0.0.1:{port}/v1", "m", retries=0).complete(ASK)


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.0.9", True),
        ("[::1]", True),
        ("[fd00::5]", True),
        ("8.8.8.8", False),
        ("[2001:4860:4860::8888]", False),
        ("[::ffff:8.8.8.8]", False),
        ("[::ffff:10.0.0.1]", True),
    ],
)
def test_private_and_remote_addresses(address: str, private: bool) -> None:
    url = f"http://{address}:8000/v1"
    assert is_private(url) == private
    if private:
        ChatEndpoint(url, "m")
    else:
        with pytest.raises(EndpointError, match=r"would be sent there.*allow_remote=True"):
            ChatEndpoint(url, "m")
        ChatEndpoint(url, "m", allow_remote=True)


def test_a_name_is_judged_by_all_its_addresses(monkeypatch) -> None:
    def both(host, port):
        return [(2, 1, 6, "", ("10.0.0.1", 0)), (2, 1, 6, "", ("8.8.8.8", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert not is_private("http://gateway.example/v1")


def test_a_private_address_is_never_asked_through_a_proxy(monkeypatch) -> None:
    with serving(replies(chat("proxy"))) as proxy, serving(replies(chat("direct"))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert ChatEndpoint(server.url, "m").complete(ASK) == "direct"
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost:8000", "no address of an endpoint"),
        ("ftp://localhost/v1", "no address of an endpoint"),
        ("http://", "no address of an endpoint"),
        ("http://localhost:port/v1", "no address of an endpoint"),
        ("http://localhost/v1?key=secret", "no address of an endpoint"),
        ("http://me:secret@localhost/v1", "user name or password"),
        ("http://no-such-host.invalid/v1", "is unknown"),
    ],
)
def test_bad_addresses(url: str, reason: str) -> None:
    with pytest.raises(EndpointError, match=reason) as caught:
        ChatEndpoint(url, "m")
    assert "secret" not in str(caught.value)


def test_bad_settings() -> None:
    with pytest.raises(EndpointError, match="name the model"):
        ChatEndpoint("http://127.0.0.1/v1", "")
    with pytest.raises(EndpointError, match="retries=-1"):
        ChatEndpoint("http://127.0.0.1/v1", "m", retries=-1)
    with pytest.raises(EndpointError, match="no user message"):
        ChatEndpoint("http://127.0.0.1/v1", "m").complete(ASK[:1], images=[Image.new("L", (2, 2))])


def test_the_fingerprint_tells_settings_apart_and_not_keys() -> None:
    def mark(**options):
        return ChatEndpoint("http://127.0.0.1/v1", "m", **options).fingerprint()

    assert mark() == mark(api_key=KEY) == mark(retries=9)
    assert len({mark(), mark(seed=1), mark(temperature=0.5), mark(max_tokens=9)}) == 4
    assert mark().startswith("m#")
