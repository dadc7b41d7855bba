"""`Runner`: prompts in, answers out; whatever stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from osler.records import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt.

    Args:
        turns: conversation up to and including the user turn to answer; `<image>` marks where each image stands.
        images: RGB images, as many as placeholders, in order.
    """

    turns: tuple[Turn, ...]
    images: tuple[Image.Image, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One generated answer.

    Args:
        text: new text only, without the prompt and without special tokens.
        tokens: new tokens, end token excluded.
        finished: the model ended by itself (end token or stop string); False when it ran into the length limit.
    """

    text: str
    tokens: int
    finished: bool


@runtime_checkable
class Runner(Protocol):
    """What turns prompts into answers: a local model, a server, anything with these members."""

    name: str
    """For reports: folder or address of the model."""

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Answers in the order of the requests."""
        ...

    def settings(self) -> dict[str, Any]:
        """Decoding settings that can change an answer, JSON-serialisable; recorded with every score."""
        ...

    def fingerprint(self) -> str:
        """Hash of what answers (weights and configuration); a run resumes only under the same one."""
        ...
