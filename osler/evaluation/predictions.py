"""`predictions.jsonl`: one line per item and condition, written as answers come, continued after a crash."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from osler.errors import BoxError, EvaluationError
from osler.evaluation.items import Item
from osler.evaluation.protocols.regions import Regions
from osler.record_atomic import atomic_write

if TYPE_CHECKING:
    from osler.evaluation.runners.base import Answer


FAILED = "failed"
"""First word of the note of a prediction without an answer, because its prompt failed; asked again on the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One answer under one condition.

    Args:
        item: id of the record.
        condition: "real", or the name of a control.
        answer: generated text; None when there is none (an answer file that lacks the item, a prompt that failed).
        question: as asked.
        reference: gold answer.
        question_type: tag, or "unknown".
        answer_type: "OPEN", "CLOSED" or None.
        images: paths of the item's own images.
        shown: id of the record whose images were shown, for condition "shuffled".
        tokens: new tokens, where a model answered.
        finished: False when the answer was cut at the length limit.
        note: for instance "fall-back" of the majority control, or "failed: " and why there is no answer.
        options: candidate answers, where the task has them.
        regions: true boxes and the format of the answer's, where the task has them.
        logprob: natural logarithm of the probability of the answer's tokens and its end token (`Answer.logprob`).
        options_logprob: the same of each scored option, in the order of `options`; empty where none were scored.
    """

    item: str
    condition: str
    answer: str | None
    question: str
    reference: str
    question_type: str
    answer_type: str | None
    images: tuple[str, ...]
    shown: str | None = None
    tokens: int | None = None
    finished: bool | None = None
    note: str | None = None
    options: tuple[str, ...] = ()
    regions: Regions | None = None
    logprob: float | None = None
    options_logprob: tuple[float, ...] = ()

    @property
    def confidence(self) -> float | None:
        """Probability of the answer among the options, or without options the geometric mean of its tokens'."""
        if self.options_logprob:
            best = max(self.options_logprob)
            return 1 / sum(math.exp(value - best) for value in self.options_logprob)
        if self.logprob is None or self.tokens is None:
            return None
        return math.exp(self.logprob / max(self.tokens + bool(self.finished), 1))


def _line(prediction: Prediction) -> bytes:
    fields = asdict(replace(prediction, regions=None))
    fields["regions"] = prediction.regions.to_json() if prediction.regions else None
    # an endpoint may send half a character (a lone surrogate); it must not cost the run
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _parse(line: bytes, *, path: Path, number: int) -> Prediction:
    try:
        fields = json.loads(line)
        # files of older versions have neither options nor regions nor probabilities
        regions = fields.get("regions")
        fields["regions"] = None if regions is None else Regions.from_json(regions)
        lists = {"images": tuple(fields["images"])}
        lists |= {name: tuple(fields.get(name, ())) for name in ("options", "options_logprob")}
        return Prediction(**{**fields, **lists})
    except (ValueError, TypeError, KeyError, AttributeError, BoxError) as error:
        raise EvaluationError(
            f"{path}:{number}: not a prediction ({error}); the file was altered, start anew with resume=False"
        ) from error


def read_predictions(path: str | Path) -> list[Prediction]:
    """All predictions of a file.

    Raises:
        EvaluationError: for a missing file or a line that is no prediction; a torn last line is no exception here.
    """
    path = Path(path)
    if not path.is_file():
        raise EvaluationError(f"{path}: no such predictions file")
    lines = path.read_bytes().splitlines()
    return [_parse(line, path=path, number=number) for number, line in enumerate(lines, start=1)]


class PredictionLog:
    """Append-only writer that survives `kill -9`.

    On opening, whatever follows the last complete line is cut off (a write that was torn); complete lines are kept and
    not asked again. `add` returns when its lines are on the disk.

    Args:
        path: of the JSONL file; made if absent.
        resume: keep what is there; otherwise start empty.
    """

    def __init__(self, path: str | Path, *, resume: bool = True) -> None:
        self.path = Path(path)
        self.predictions: dict[tuple[str, str], Prediction] = {}
        if not resume or not self.path.is_file():
            self.path.write_bytes(b"")
        content = self.path.read_bytes()
        complete = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(complete.splitlines(), start=1):
            self._keep(_parse(line, path=self.path, number=number), number)
        self.torn = len(content) - len(complete)
        self._file: BinaryIO = self.path.open("r+b")
        self._file.truncate(len(complete))
        self._file.seek(0, os.SEEK_END)

    def _keep(self, prediction: Prediction, number: int | None = None) -> None:
        key = (prediction.condition, prediction.item)
        if key in self.predictions:
            raise EvaluationError(f"{self.path}:{number}: item {prediction.item} stands there twice for {key[0]!r}")
        self.predictions[key] = prediction

    def add(self, predictions: Iterable[Prediction], *, sync: bool = True) -> None:
        """Write predictions and, with `sync`, wait until they are on the disk."""
        for prediction in predictions:
            self._keep(prediction)
            self._file.write(_line(prediction))
        if sync:
            self._file.flush()
            os.fsync(self._file.fileno())

    def forget(self, which: Callable[[Prediction], bool]) -> int:
        """Take predictions out of the file, which is replaced as a whole; how many."""
        left = {key: prediction for key, prediction in self.predictions.items() if not which(prediction)}
        gone = len(self.predictions) - len(left)
        if gone:
            self._file.close()
            with atomic_write(self.path) as stream:
                stream.writelines(_line(prediction) for prediction in left.values())
            self.predictions = left
            self._file = self.path.open("r+b")
            self._file.seek(0, os.SEEK_END)
        return gone

    def has(self, item: str, condition: str) -> bool:
        """Whether the answer is there already."""
        return (condition, item) in self.predictions

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def prediction_of(
    item: Item,
    condition: str,
    text: str | None,
    *,
    answer: Answer | None = None,
    shown: str | None = None,
    note: str | None = None,
) -> Prediction:
    """Line for one answer to an item.

    Args:
        item: that was asked.
        condition: under which.
        text: the answer, or None when there is none.
        answer: what the runner gave, for token count and finish.
        shown: id of the record whose images were shown instead.
        note: see `Prediction`.
    """
    return Prediction(
        item=item.id,
        condition=condition,
        answer=text,
        question=item.question,
        reference=item.reference,
        question_type=item.question_type,
        answer_type=item.answer_type,
        images=item.images,
        shown=shown,
        tokens=answer.tokens if answer else None,
        finished=answer.finished if answer else None,
        note=note,
        options=item.options,
        regions=item.regions,
        logprob=answer.logprob if answer else None,
        options_logprob=answer.options_logprob if answer else (),
    )


def asked_item(prediction: Prediction) -> Item:
    """The item that a prediction answers, to score it again."""
    return Item(
        id=prediction.item,
        question=prediction.question,
        reference=prediction.reference,
        question_type=prediction.question_type,
        answer_type=prediction.answer_type,
        images=prediction.images,
        cluster=" ".join(prediction.images) or prediction.item,
        options=prediction.options,
        regions=prediction.regions,
    )
