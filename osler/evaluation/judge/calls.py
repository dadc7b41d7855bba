"""`judge.jsonl`: every answer of a judge with the hash of what it was asked, so that nothing is asked twice."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from osler.endpoint_async import AsyncChatEndpoint, Messages, wait_for
from osler.errors import EndpointError, EvaluationError
from osler.evaluation.fingerprints import hash_json

GIVE_UP = 32
"""Failures in a row after which the judge is taken for dead."""


class JudgeCalls:
    """Asks a judge, and keeps what it said.

    A line of the file holds `key` (sha256 of judge, number of the repetition and messages) and `said`. A torn last line
    is cut off; failed calls are not kept, so that the next run asks them again.

    Args:
        endpoint: of the judge.
        path: of the JSONL file; made if absent.
        concurrency: requests under way at the same time.
    """

    def __init__(self, endpoint: AsyncChatEndpoint, path: str | Path, *, concurrency: int = 8) -> None:
        self.endpoint, self.path, self.concurrency = endpoint, Path(path), concurrency
        self.asked = self.reused = 0
        self.failures: list[str] = []
        self._said: dict[str, str] = {}
        content = self.path.read_bytes() if self.path.is_file() else b""
        complete = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(complete.splitlines(), start=1):
            try:
                entry = json.loads(line)
                self._said[entry["key"]] = entry["said"]
            except (ValueError, KeyError, TypeError) as error:
                raise EvaluationError(
                    f"{self.path}:{number}: is no answer of a judge ({error}); remove the file"
                ) from error
        if len(complete) < len(content):
            os.truncate(self.path, len(complete))

    def __call__(
        self, prompts: Sequence[tuple[int, Messages]], *, advance: Callable[[int], None] = lambda count: None
    ) -> list[str | None]:
        """What the judge says to each prompt; None where the call failed.

        Args:
            prompts: (number of the repetition, messages).
            advance: told how many more are done.

        Raises:
            EndpointError: when none of the first calls was answered, or many failed one after the other.
        """
        keys = [hash_json([self.endpoint.fingerprint(), *prompt]) for prompt in prompts]
        known = sum(key in self._said for key in keys)
        self.reused += known
        advance(known)
        new = {key: messages for key, (_, messages) in zip(keys, prompts, strict=True) if key not in self._said}
        todo, size, failed = list(new.items()), 4 * self.concurrency, 0
        for start in range(0, len(todo), size):
            part = todo[start : start + size]
            settings = {"temperature": self.endpoint.temperature, "max_tokens": self.endpoint.max_tokens}
            bodies = [{"messages": messages, **settings} for _, messages in part]
            found = wait_for(self.endpoint.choices(bodies, concurrency=self.concurrency))
            with self.path.open("ab") as file:
                for (key, _), entry in zip(part, found, strict=True):
                    if isinstance(entry, EndpointError):
                        self.failures.append(str(entry))
                        failed += 1
                        continue
                    failed = 0
                    self._said[key] = entry["message"]["content"]
                    self.asked += 1
                    file.write(json.dumps({"key": key, "said": self._said[key]}, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if failed and (failed >= GIVE_UP or not (self.asked or self.reused)):
                raise EndpointError(f"the judge failed {failed} times in a row; the last time: {self.failures[-1]}")
            advance(len(part))
        return [self._said.get(key) for key in keys]

    def settings(self) -> dict[str, Any]:
        """Which judge, for the record."""
        return {
            "model": self.endpoint.model,
            "fingerprint": self.endpoint.fingerprint(),
            "temperature": self.endpoint.temperature,
            "max_tokens": self.endpoint.max_tokens,
        }
