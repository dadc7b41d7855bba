"""Responses by a vision model in two steps, as UMed-LVLM's data are described: diagnosis, then reflection.

First call: picture, class and place give a diagnosis in free words. Second call: that text is reorganised into
detect, localise, recognise. What comes back must pass `osler.instruct.checks`; if not, the model is told what is wrong
and asked again, a bounded number of times. Prompts (`osler.instruct.prompts`) are ours: the paper's are not published.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from osler import box_formats
from osler.endpoint import ChatEndpoint
from osler.errors import EndpointError, ImageError, RecordError
from osler.instruct import prompts
from osler.instruct.checks import problems, word_limit
from osler.instruct.journal import Journal
from osler.record_ids import stable_id
from osler.record_images import resolve_image
from osler.records import Record

MAX_SIDE = 1024
GIVE_UP_AFTER = 3  # failures of the endpoint in a row: then it is down, and the rest would fail too


class TwoStepWriter:
    """Writes responses through an endpoint (see `osler.instruct.abnormality.Writer`).

    Args:
        endpoint: that answers.
        images: image folder of the records.
        journal: file of finished answers; what it holds of the same draft, model and prompts is not asked again.
        rejects: file of failures, with id and reasons; what an earlier run left there is replaced.
        attempts: second calls for each record, the first included.

    Attributes:
        counts: `written`, `reused` (from the journal) and `failed` records.
    """

    def __init__(
        self, endpoint: ChatEndpoint, images: Path, *, journal: Path, rejects: Path, attempts: int = 3
    ) -> None:
        if attempts < 1:
            raise RecordError(f"attempts is {attempts}; want at least 1")
        self.endpoint, self.images, self.attempts = endpoint, images, attempts
        self.journal, self.rejects = Journal(journal), rejects
        rejects.unlink(missing_ok=True)
        self.counts: Counter[str] = Counter()
        self.generator = endpoint.model
        self.notes: Mapping[str, str] = {
            "endpoint": endpoint.fingerprint(),
            "prompt_sha256": prompts.prompt_sha256(),
        }
        self._down = 0

    def write(self, draft: Record) -> str | None:
        """The response to a drafted record, or None after a failure, which is listed in `rejects`.

        Raises:
            EndpointError: when the endpoint failed several times in a row.
        """
        key = stable_id(draft.id, draft.answer, draft.tags["box_format"], *sorted(self.notes.values()))
        known = self.journal.get(key)
        if known is not None:
            self.counts["reused"] += 1
            return str(known["text"])
        try:
            text, reasons = self._ask(draft)
            self._down = 0
        except EndpointError as error:
            self._down += 1
            self._reject(draft, [str(error)], "")
            if self._down >= GIVE_UP_AFTER:
                raise EndpointError(
                    f"{error}; given up after {self._down} records in a row. Finished answers are kept in "
                    f"{self.journal.path}: the same command goes on from there"
                ) from error
            return None
        except (ImageError, RecordError) as error:
            self._reject(draft, [str(error)], "")
            return None
        if reasons:
            self._reject(draft, reasons, text)
            return None
        self.journal.add(key, id=draft.id, text=text, **self.notes)
        self.counts["written"] += 1
        return text

    def close(self) -> None:
        """Close journal and endpoint."""
        self.journal.close()
        self.endpoint.close()

    def __enter__(self) -> TwoStepWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, draft: Record) -> tuple[str, list[str]]:
        """The last text, and what is still wrong with it."""
        from osler.images import load_image

        codec = box_formats.get(draft.tags["box_format"])
        known = prompts.facts(
            [region.label for region in draft.regions], [codec.to_text(region.box) for region in draft.regions]
        )
        reference = draft.images[0]
        image = load_image(
            resolve_image(self.images, reference), frame=reference.frame, window=reference.window, max_side=MAX_SIDE
        ).image
        system = {"role": "system", "content": prompts.SYSTEM}
        first = {"role": "user", "content": prompts.DIAGNOSE.format(facts=known)}
        diagnosis = self.endpoint.complete([system, first], images=[image]).strip()
        reflect = prompts.REFLECT.format(draft=diagnosis, facts=known, words=word_limit(len(draft.regions)))
        talk: list[dict[str, Any]] = [system, {"role": "user", "content": reflect}]
        synonyms = json.loads(draft.tags.get("synonyms", "{}"))
        text, reasons = "", ["It was never written."]
        for _ in range(self.attempts):
            text = " ".join(self.endpoint.complete(talk).split())
            reasons = problems(text, draft.regions, codec, synonyms=synonyms)
            if not reasons:
                break
            again = prompts.AGAIN.format(problems="\n".join(f"- {reason}" for reason in reasons))
            talk = [*talk[:2], {"role": "assistant", "content": text}, {"role": "user", "content": again}]
        return text, reasons

    def _reject(self, draft: Record, reasons: list[str], text: str) -> None:
        self.counts["failed"] += 1
        self.rejects.parent.mkdir(parents=True, exist_ok=True)
        row = {"id": draft.id, "image": draft.images[0].path, "reasons": reasons, "text": text}
        with self.rejects.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
