"""Many chat requests at once to an OpenAI-compatible address; refusals and repetitions as in `ChatEndpoint`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

from osler.endpoint import FIRST_WAIT, LONGEST_WAIT, PATH, ChatEndpoint, _said, _unreachable
from osler.errors import EndpointError

Messages = list[dict[str, Any]]
_sleep = asyncio.sleep


class AsyncChatEndpoint(ChatEndpoint):
    """Asks one model at one address, with a limit on the requests under way. Arguments are `ChatEndpoint`'s."""

    async def choices(
        self, bodies: Sequence[dict[str, Any]], *, concurrency: int
    ) -> list[dict[str, Any] | EndpointError]:
        """First choice of each answer with its `usage`, or why there is none, in the order of the bodies.

        Args:
            bodies: of `/chat/completions`, without the model.
            concurrency: requests under way at the same time.
        """
        import httpx2

        gate = asyncio.Semaphore(concurrency)
        limits = httpx2.Limits(max_connections=concurrency)
        async with httpx2.AsyncClient(**self._options(), limits=limits) as client:

            async def one(body: dict[str, Any]) -> dict[str, Any] | EndpointError:
                async with gate:
                    try:
                        return await self._choice(client, {"model": self.model, **body})
                    except EndpointError as error:
                        return error

            return list(await asyncio.gather(*(one(body) for body in bodies)))

    async def models(self) -> list[str]:
        """Names of the models that the server says it offers; none where it keeps no such list.

        Raises:
            EndpointError: when it cannot be reached, refuses, or says something else.
        """
        import httpx2

        url = self.url.removesuffix(PATH) + "/models"
        async with httpx2.AsyncClient(**self._options()) as client:
            try:
                response = await client.get(url)
            except httpx2.TimeoutException:
                raise self._error(self._silent()) from None
            except httpx2.HTTPError as error:
                raise self._error(_unreachable(error)) from None
        if response.status_code in (401, 403):
            raise self._error(f"status {response.status_code} for {url}: {_said(response)}")
        if response.status_code != 200:  # many servers answer chats but keep no list, or one that fails
            return []
        try:
            return [str(entry["id"]) for entry in response.json()["data"]]
        except (ValueError, LookupError, TypeError):
            raise self._error(f"no list of models at {url}: {_said(response)}") from None

    async def _choice(self, client: Any, body: dict[str, Any]) -> dict[str, Any]:
        import httpx2

        reason, wait = "", 0.0
        for attempt in range(self.retries + 1):
            try:
                response = await client.post(self.url, json=body)
                if response.status_code == 200:
                    return self._first(response)
                reason, wait = self._refused(response)
            except httpx2.TimeoutException:
                reason, wait = self._silent(), 0.0
            except httpx2.HTTPError as error:
                reason, wait = _unreachable(error), 0.0
            if attempt < self.retries:
                await _sleep(min(max(FIRST_WAIT * 2**attempt, wait), LONGEST_WAIT))
        raise self._error(f"{reason}, {self.retries + 1} times in a row")

    def _first(self, response: Any) -> dict[str, Any]:
        self._text(response)  # refuses what holds no text
        content = response.json()
        return {**content["choices"][0], "usage": content.get("usage")}


def wait_for(task: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, also where a loop is running already (notebooks)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(task)
    box: dict[str, Any] = {}

    def work() -> None:
        try:
            box["value"] = asyncio.run(task)
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if "error" in box:
        raise box["error"]
    return box["value"]
