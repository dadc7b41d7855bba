"""`EndpointRunner`: answers of a model behind an OpenAI-compatible address: vLLM, `transformers serve`, a gateway.

Pictures travel as PNG data addresses, without loss, and stand where the prompt has them. A prompt that fails after its
repetitions gives no answer; that is counted, stays in the denominator, and is asked again on the next run. Only
addresses of this machine are asked unless it is said that others may be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from osler.endpoint import data_url, require_loopback
from osler.endpoint_async import AsyncChatEndpoint, wait_for
from osler.errors import EndpointError, EvaluationError
from osler.evaluation.runners.base import Answer, Request
from osler.evaluation.runners.prompts import conversations

GIVE_UP = 32
"""Failures in a row after which the server is taken for dead."""


class EndpointRunner:
    """Answers with a model behind an address, greedily (temperature 0).

    Args:
        url: base address, for instance `http://127.0.0.1:8000/v1`.
        model: name by which the server knows the model; may be left out where it offers just one.
        max_new_tokens: length limit of an answer.
        concurrency: requests under way at the same time.
        stop: strings that end an answer.
        api_key: sent as bearer token; never recorded.
        timeout: seconds to wait for an answer.
        retries: repetitions after a failed connection, a timeout, or status 408, 425, 429 and 500-599.
        allow_remote: send pictures and questions to an address outside this machine.

    Raises:
        EndpointError: for an address outside this machine without `allow_remote`, a server that cannot be reached, or
            one of several models that nobody chose.
        EvaluationError: for an empty stop string or impossible numbers.
    """

    def __init__(
        self,
        url: str,
        model: str = "",
        *,
        max_new_tokens: int = 32,
        concurrency: int = 8,
        stop: Sequence[str] = (),
        api_key: str | None = None,
        timeout: float = 300.0,
        retries: int = 3,
        allow_remote: bool = False,
    ) -> None:
        if max_new_tokens < 1 or concurrency < 1:
            raise EvaluationError(f"max_new_tokens={max_new_tokens} and concurrency={concurrency} must be at least 1")
        if any(not text for text in stop):
            raise EvaluationError("a stop string is empty: it is found in every text, so each answer would end at once")
        if not allow_remote:
            require_loopback(url)
        self.max_new_tokens, self.concurrency, self.stop = max_new_tokens, concurrency, tuple(stop)
        options: dict[str, Any] = {"timeout": timeout, "retries": retries, "max_tokens": max_new_tokens}
        options |= {"api_key": api_key, "allow_remote": allow_remote}
        self._endpoint = AsyncChatEndpoint(url, model or "?", **options)
        self._offered = wait_for(self._endpoint.models())
        if not model:
            if len(self._offered) != 1:
                offer = ", ".join(self._offered) or "no list of models"
                raise EndpointError(f"{url}: offers {offer}; say which one to ask (model, --model-name)")
            model = self._offered[0]
        self._endpoint.model = model
        self.name = f"{model} at {url.rstrip('/')}"
        self._answered = 0
        self._logprobs = True
        self._failed_in_a_row = 0

    def settings(self) -> dict[str, Any]:
        """What is asked of the server; its batches and number format are its own affair."""
        return {
            "decoding": "greedy",
            "runner": "endpoint",
            "max_new_tokens": self.max_new_tokens,
            "stop": list(self.stop),
        }

    def fingerprint(self) -> str:
        """sha256 over address and model name: the weights are out of sight."""
        return hashlib.sha256(json.dumps([self._endpoint.url, self._endpoint.model]).encode()).hexdigest()

    def answer(self, requests: Sequence[Request], *, on_batch: Callable[[int], None] | None = None) -> list[Answer]:
        """Answer all requests, in their order.

        Args:
            requests: prompts with their images.
            on_batch: called at the end with the number of prompts.

        Raises:
            EvaluationError: when options are to be scored, which this interface cannot.
            EndpointError: when none of the first prompts was answered, or so many failed one after the other that the
                server must be dead. What was answered before is not lost.
        """
        if any(request.options for request in requests):
            raise EvaluationError("a server does not tell the probability of given options; use a local model for that")
        bodies = [self._body(request) for request in requests]
        found = wait_for(self._choices(bodies))
        failures = [entry for entry in found if isinstance(entry, EndpointError)]
        self._answered += len(found) - len(failures)
        if failures and not self._answered:
            offer = f" (it offers {', '.join(self._offered)})" if self._offered else ""
            raise EndpointError(f"none of the first {len(found)} prompts was answered{offer}: {failures[0]}")
        answers = [self._read(entry) for entry in found]
        for entry in found:
            self._failed_in_a_row = self._failed_in_a_row + 1 if isinstance(entry, EndpointError) else 0
            if self._failed_in_a_row >= GIVE_UP:
                raise EndpointError(f"{GIVE_UP} prompts failed one after the other; the last one: {entry}")
        if on_batch:
            on_batch(len(answers))
        return answers

    async def _choices(self, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any] | EndpointError]:
        if not self._logprobs:
            return await self._endpoint.choices(bodies, concurrency=self.concurrency)
        told = [{**body, "logprobs": True} for body in bodies]
        found = await self._endpoint.choices(told[:1], concurrency=1)
        if found and _unknown_field(found[0]):
            self._logprobs = False  # a server that does not know the field
            return await self._endpoint.choices(bodies, concurrency=self.concurrency)
        return found + await self._endpoint.choices(told[1:], concurrency=self.concurrency)

    def _body(self, request: Request) -> dict[str, Any]:
        messages = conversations([request])[0]
        for message in messages:
            message["content"] = [
                {"type": "image_url", "image_url": {"url": data_url(part["image"])}}
                if part["type"] == "image"
                else part
                for part in message["content"]
            ]
            if all(part["type"] == "text" for part in message["content"]):  # some servers want plain text there
                message["content"] = "".join(part["text"] for part in message["content"])
        body = {"messages": messages, "temperature": 0.0, "max_tokens": self.max_new_tokens}
        return {**body, "stop": list(self.stop)} if self.stop else body

    def _read(self, entry: dict[str, Any] | EndpointError) -> Answer:
        if isinstance(entry, EndpointError):
            return Answer(text="", tokens=0, finished=False, failure=str(entry))
        finished = entry.get("finish_reason") != "length"
        chances = _chances(entry)
        used = (entry.get("usage") or {}).get("completion_tokens")
        count = len(chances) if chances else used if isinstance(used, int) else 0
        text = entry["message"]["content"]
        if chances is not None and not _ends_shown(entry, text):
            tokens = count
        else:
            tokens = max(count - finished, 0)
        return Answer(text=text.strip(), tokens=tokens, finished=finished, logprob=sum(chances) if chances else None)


def _chances(entry: dict[str, Any]) -> list[float] | None:
    try:
        return [float(token["logprob"]) for token in entry["logprobs"]["content"]] or None
    except (KeyError, TypeError, ValueError):
        return None


def _ends_shown(entry: dict[str, Any], text: str) -> bool:
    """Whether the list of probabilities has the end token, which is not part of the text."""
    return "".join(str(token.get("token", "")) for token in entry["logprobs"]["content"]) != text


def _unknown_field(entry: dict[str, Any] | EndpointError) -> bool:
    return isinstance(entry, EndpointError) and any(f"status {status}" in str(entry) for status in (400, 422))
