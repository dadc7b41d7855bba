"""Judge reward: a language model says how relevant a completion is to the reference (UMed-LVLM's r^LLM)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from osler.errors import EndpointError
from osler.training.rewards.base import completion_text

if TYPE_CHECKING:
    from osler.endpoint import ChatEndpoint

PROMPT = """You grade answers of a radiology assistant. You see a question, a reference answer and a candidate answer.
Say how well the candidate answers the question and agrees with the reference: 0 is wrong or beside the question, 10 \
is complete and right. Ignore coordinates, style and length.

Question: {question}
Reference: {reference}
Candidate: {candidate}

Answer with one whole number from 0 to 10 and nothing else."""


class Judge:
    """Marks of a judge behind any OpenAI-compatible endpoint, divided by 10.

    Each text is asked once and remembered. A failed call or an answer without a mark gives None for that completion,
    which then goes without this term; `failures` counts them.

    Args:
        endpoint: of the judge; a local one unless it was allowed otherwise.
        workers: calls at the same time.

    Columns: `question` and `reference`.
    """

    def __init__(self, endpoint: ChatEndpoint, *, workers: int = 4) -> None:
        self.__name__ = "judge"
        self.endpoint, self.workers = endpoint, workers
        self.failures = 0
        self._known: dict[str, float] = {}

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Which judge with which prompt: part of a run's record."""
        return {"endpoint": self.endpoint.fingerprint(), "prompt_sha256": hashlib.sha256(PROMPT.encode()).hexdigest()}

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        *,
        question: Sequence[str],
        reference: Sequence[str],
        **_: Any,
    ) -> list[float | None]:
        """Marks in [0, 1], None where the judge gave none."""
        texts = [
            PROMPT.format(question=question[i], reference=reference[i], candidate=completion_text(completion))
            for i, completion in enumerate(completions)
        ]
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        with ThreadPoolExecutor(max_workers=self.workers) as pool:
            for text, mark in zip(new, pool.map(self._ask, new), strict=True):
                if mark is not None:
                    self._known[text] = mark
        found = [self._known.get(text) for text in texts]
        self.failures += sum(mark is None for mark in found)
        return found

    def _ask(self, text: str) -> float | None:
        try:
            return mark_in(self.endpoint.complete([{"role": "user", "content": text}]))
        except EndpointError:
            return None


def mark_in(answer: str) -> float | None:
    """The mark 0 to 10 of a judge's answer as a share, or None.

    A lone number, "7/10", "7 out of 10" and "Mark: 7" are read; several different numbers, a range such as "7-8", or a
    number outside 0 to 10 are no mark.
    """
    text = re.sub(r"(?:/|\bout of\b)\s*10\b", " ", answer)
    text = re.sub(r"(?<=\d)\s*[-–]\s*(?=\d)", " ", text)  # a range, not a minus
    numbers = set(re.findall(r"(?<![\w.-])\d+(?![\w.]*\d)", text))
    if len(numbers) != 1:
        return None
    mark = int(numbers.pop())
    return mark / 10 if 0 <= mark <= 10 else None
