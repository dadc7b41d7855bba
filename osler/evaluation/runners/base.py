"""`Runner`: prompts in, answers out; whatever stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from osler.records import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt.

    Args:
        turns: conversation up to and including the user turn to answer; `<image>` marks where each image stands.
        images: RGB images, as many as placeholders, in order.
        options: where there are any, the answer is the likeliest of these texts instead of a free one.
    """

    turns: tuple[Turn, ...]
    images: tuple[Image.Image, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One generated answer.

    Args:
        text: new text only, without the prompt and without special tokens.
        tokens: new tokens, without the one that ended the answer (end token, or the last of a stop string).
        finished: the model ended by itself (end token or stop string); False when it ran into the length limit.
        logprob: natural logarithm of the probability of these tokens, and of the one that ended them where `finished`;
            so the sum has `tokens + finished` terms. None where the runner cannot tell.
        options_logprob: the same of each of the request's options with an end token behind, in their order.
        failure: why there is no answer, from a runner that goes on when one prompt fails; the text is empty then.
    """

    text: str
    tokens: int
    finished: bool
    # two answers are equal when their texts are: probabilities round differently in batches of different shape
    logprob: float | None = field(default=None, compare=False)
    options_logprob: tuple[float, ...] = field(default=(), compare=False)
    failure: str | None = None


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
