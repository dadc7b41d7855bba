"""Anonymous GET requests that are a burden to nobody: a steady rate, few at a time, patience on refusal.

Plain HTTPS with httpx2, which Osler has anyway: anonymous reading of S3 needs no signature, so botocore would bring
eighty megabytes for one GET and one listing.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from osler.errors import SourceError
from osler.packages import is_offline
from osler.retry_after import retry_after
from osler.sources.pmc.stores import ObjectProblem

FIRST_WAIT = 0.5  # seconds before the first repetition; doubled each time, with jitter
LONGEST_WAIT = 60.0
_REPEATED = (408, 425, 429)  # besides all of 500-599
_LOCAL = ("127.0.0.1", "::1", "localhost")


class PoliteClient:
    """GET with a rate limit shared by all threads, retries with back-off, and Retry-After.

    Args:
        rate: requests a second.
        retries: repetitions after a failed connection, a timeout, or status 408, 425, 429 and 500-599.
        timeout: seconds for connecting and for each wait for bytes.
        connections: at most so many at a time.
        agent: sent as User-Agent.

    Raises:
        SourceError: a number out of range.
    """

    def __init__(
        self, *, rate: float = 5.0, retries: int = 5, timeout: float = 30.0, connections: int = 4, agent: str = ""
    ) -> None:
        if not (rate > 0 and retries >= 0 and timeout > 0 and connections >= 1):
            raise SourceError(
                f"rate={rate}, retries={retries}, timeout={timeout}, connections={connections}: want retries >= 0, the "
                "others positive"
            )
        import osler

        self.rate, self.retries, self.timeout, self.connections = rate, retries, timeout, connections
        self.agent = agent or f"osler/{osler.__version__}"
        self.requests = 0
        self._lock = threading.Lock()
        self._next = 0.0
        self._client: Any = None

    @contextmanager
    def get(self, url: str, params: dict[str, str] | None = None) -> Iterator[Any]:
        """A response of status 200, its body not read yet. Failures while the body is read are the caller's.

        Raises:
            ObjectProblem: "missing" on 404 and 410; "forbidden" on 403; "unreachable" (temporary) after the allowed
                repetitions.
            SourceError: `OSLER_OFFLINE` is set, or the server redirects or refuses the request as such.
        """
        import httpx2

        if is_offline() and urlsplit(url).hostname not in _LOCAL:
            raise SourceError(f"{url}: OSLER_OFFLINE is set; unset it, or read a local mirror instead")
        reason = ""
        for attempt in range(self.retries + 1):
            self._wait_for_turn()
            wait = 0.0
            try:
                request = self._started().build_request("GET", url, params=params)
                response = self._started().send(request, stream=True)
            except httpx2.TimeoutException:
                reason = f"no answer within {self.timeout:g} s"
            except httpx2.HTTPError as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                status = response.status_code
                if status == 200:
                    try:
                        yield response
                    finally:
                        response.close()
                    return
                wait = retry_after(response.headers.get("retry-after"))
                response.close()
                if status in (404, 410):
                    raise ObjectProblem("missing", f"{url}: status {status}")
                if status == 403:
                    raise ObjectProblem("forbidden", f"{url}: status 403")
                if status not in _REPEATED and status < 500:
                    moved = "; redirects are not followed, name the address itself" if 300 <= status < 400 else ""
                    raise SourceError(f"{url}: status {status}{moved}")
                reason = f"status {status}"
            if attempt < self.retries:
                self.pause(attempt, wait)
        raise ObjectProblem("unreachable", f"{url}: {reason}, {self.retries + 1} times in a row", temporary=True)

    def pause(self, attempt: int, at_least: float = 0.0) -> None:
        """Wait before repetition number `attempt` (0-based)."""
        grown = FIRST_WAIT * 2**attempt * random.uniform(0.75, 1.25)  # so that many clients do not come back at once
        time.sleep(min(max(grown, at_least), LONGEST_WAIT))

    def close(self) -> None:
        """Close open connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _started(self) -> Any:
        import httpx2

        with self._lock:
            if self._client is None:
                limits = httpx2.Limits(max_connections=self.connections)
                self._client = httpx2.Client(timeout=self.timeout, limits=limits, headers={"User-Agent": self.agent})
            return self._client

    def _wait_for_turn(self) -> None:
        with self._lock:
            self.requests += 1
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + 1 / self.rate
        time.sleep(max(0.0, turn - now))
