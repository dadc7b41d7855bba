"""A chat model behind an OpenAI-compatible address (vLLM, llama.cpp, Ollama, a hospital's gateway, `osler serve`).

Patient data stay: an address outside this machine and the private network is refused unless asked for, a proxy from the
environment is not used for a private one, and redirects are not followed. The key never appears in a message.
"""

from __future__ import annotations

import base64
import hashlib
import io
import ipaddress
import json
import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from osler.errors import EndpointError
from osler.retry_after import retry_after

if TYPE_CHECKING:
    from PIL.Image import Image

PATH = "/chat/completions"
FIRST_WAIT = 0.5  # seconds before the first repetition; doubled each time
LONGEST_WAIT = 60.0
_REPEATED = (408, 425, 429)  # besides all of 500-599
_sleep = time.sleep


class ChatEndpoint:
    """Asks one model at one address.

    Args:
        url: base address, for instance `http://localhost:8000/v1`; `/chat/completions` is added where it is absent.
        model: name by which the server knows the model.
        api_key: sent as bearer token.
        timeout: seconds for connecting, and for each wait for the server.
        retries: repetitions after a failed connection, a timeout, or status 408, 425, 429 and 500-599.
        temperature: of sampling.
        max_tokens: of the answer.
        seed: for servers that know it.
        allow_remote: send to an address outside this machine and the private network.

    Raises:
        EndpointError: address that is none, that holds a password, or that is remote without `allow_remote`.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retries: int = 3,
        temperature: float = 0.0,
        max_tokens: int = 512,
        seed: int | None = None,
        allow_remote: bool = False,
    ) -> None:
        self.url = _checked_url(url)
        self.model, self.timeout, self.retries = model, timeout, retries
        self.temperature, self.max_tokens, self.seed = temperature, max_tokens, seed
        self._private = is_private(self.url)
        if not self._private and not allow_remote:
            raise EndpointError(
                f"{self.url}: is outside this machine and the private network, and pictures and texts would be sent "
                "there. If they may leave, allow it (allow_remote=True, --allow-remote)"
            )
        if not model:
            raise EndpointError(f"{self.url}: name the model that the server shall use")
        if not (retries >= 0 and timeout > 0 and max_tokens > 0):
            raise EndpointError(
                f"retries={retries}, timeout={timeout}, max_tokens={max_tokens}: want retries >= 0, the others positive"
            )
        self._key = api_key
        self._client: Any = None

    def complete(self, messages: list[dict[str, Any]], *, images: Sequence[Image] = ()) -> str:
        """The model's answer.

        Args:
            messages: of the OpenAI chat API (`role`, `content`).
            images: put before the text of the last user message, as PNG data addresses.

        Raises:
            EndpointError: when the server cannot be reached, refuses, fails, or answers without a text, after the
                allowed repetitions; or when there are images but no user message.
        """
        body = {
            "model": self.model,
            "messages": with_images(messages, images) if images else messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            **({} if self.seed is None else {"seed": self.seed}),
        }
        for attempt in range(self.retries + 1):
            reason, wait = self._ask(body)
            if wait is None:
                return reason
            if attempt < self.retries:
                _sleep(min(max(FIRST_WAIT * 2**attempt, wait), LONGEST_WAIT))
        raise self._error(f"{reason}, {self.retries + 1} times in a row")

    def fingerprint(self) -> str:
        """What decides the answers, for provenance and caches: the model's name, `#`, and 16 hex digits.

        The digits are of the SHA-256 of address, model, temperature, `max_tokens` and seed; the key is not among them.
        """
        parts = [self.url, self.model, self.temperature, self.max_tokens, self.seed]
        return f"{self.model}#{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"

    def close(self) -> None:
        """Close open connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> ChatEndpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, body: dict[str, Any]) -> tuple[str, float | None]:
        """(answer, None), or (why it failed, seconds to wait at least) where it is worth repeating."""
        import httpx2

        if self._client is None:
            self._client = httpx2.Client(**self._options())
        try:
            response = self._client.post(self.url, json=body)
        except httpx2.TimeoutException:
            return self._silent(), 0.0
        except httpx2.HTTPError as error:
            return _unreachable(error), 0.0
        if response.status_code == 200:
            return self._text(response), None
        return self._refused(response)

    def _options(self) -> dict[str, Any]:
        """Of the HTTP client."""
        headers = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
        return {"timeout": self.timeout, "headers": headers, "trust_env": not self._private}

    def _silent(self) -> str:
        return f"no answer within {self.timeout:g} s"

    def _refused(self, response: Any) -> tuple[str, float]:
        """Why, and seconds to wait at least, where it is worth repeating.

        Raises:
            EndpointError: where it is not.
        """
        status = response.status_code
        reason = f"status {status}: {_said(response)}"
        if status in _REPEATED or status >= 500:
            return reason, retry_after(response.headers.get("retry-after"))
        if 300 <= status < 400:
            reason += "; redirects are not followed, name the address itself"
        raise self._error(reason)

    def _text(self, response: Any) -> str:
        try:
            text = response.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            raise self._error(f"status 200 but no chat answer: {_said(response)}") from None
        if not isinstance(text, str):
            raise self._error(f"status 200 but the answer is a {type(text).__name__}, not a text")
        return text

    def _error(self, reason: str) -> EndpointError:
        text = f"{self.url}: {reason}"
        return EndpointError(text.replace(self._key, "***") if self._key else text)


def _unreachable(error: Exception) -> str:
    return f"cannot be reached ({type(error).__name__}: {error})"


def with_images(messages: list[dict[str, Any]], images: Sequence[Image]) -> list[dict[str, Any]]:
    """A copy of the messages with pictures as data addresses before the text of the last user message.

    Raises:
        EndpointError: when no message is a user's.
    """
    places = [number for number, message in enumerate(messages) if message.get("role") == "user"]
    if not places:
        raise EndpointError("there are pictures but no user message to put them into")
    last = messages[places[-1]]
    content = last["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    shown = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in images]
    changed = list(messages)
    changed[places[-1]] = {**last, "content": [*shown, *parts]}
    return changed


def data_url(image: Image) -> str:
    """A picture as `data:image/png;base64,...`, without any of the file's own metadata."""
    stream = io.BytesIO()
    plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
    plain.save(stream, format="PNG", pnginfo=None)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def is_private(url: str) -> bool:
    """Whether every network address behind a web address is of this machine or of a private network.

    Raises:
        EndpointError: when its host name is unknown.
    """
    return all(address.is_loopback or address.is_private or address.is_link_local for address in _addresses(url))


def is_loopback(url: str) -> bool:
    """Whether every network address behind a web address is of this machine.

    Raises:
        EndpointError: when its host name is unknown.
    """
    return all(address.is_loopback for address in _addresses(url))


def require_loopback(url: str) -> None:
    """Refuse an address outside this machine, where only it may be asked unless something else was said.

    Raises:
        EndpointError: tells how to allow it.
    """
    if not is_loopback(url):
        raise EndpointError(
            f"{url.split('@')[-1]}: is outside this machine, and pictures and texts would be sent there. If they may "
            "leave, allow it (allow_remote=True, --allow-remote)"
        )


def _addresses(url: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    host = urlsplit(url).hostname or ""
    try:
        found = {str(item[4][0]) for item in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError) as error:
        raise EndpointError(f"{url}: the host name {host!r} is unknown ({error})") from error
    return [_plain(ipaddress.ip_address(text.split("%")[0])) for text in found]


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address that is written as an IPv6 one (::ffff:8.8.8.8) as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    try:
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number
        whole = False
    if not whole or parts.query or parts.fragment:
        shown = url.split("@")[-1].split("?")[0]
        raise EndpointError(f"{shown!r} is no address of an endpoint; want for instance http://localhost:8000/v1")
    if parts.username or parts.password:
        raise EndpointError(f"{parts.hostname}: the address holds a user name or password; give the key as api_key")
    base = url.rstrip("/")
    return base if base.endswith(PATH) else base + PATH


def _said(response: Any) -> str:
    """The server's own words, shortened."""
    try:
        data = response.json()
        error = data.get("error", data) if isinstance(data, dict) else data
        text = error.get("message") if isinstance(error, dict) and error.get("message") else json.dumps(error)
    except ValueError:
        text = response.text
    text = " ".join(str(text).split())
    return text if len(text) <= 200 else text[:197] + "..."
