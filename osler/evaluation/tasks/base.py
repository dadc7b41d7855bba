"""`Task`: a benchmark, that is records, a prompt and the protocols that score the answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from osler.errors import EvaluationError
from osler.evaluation import protocols
from osler.evaluation.controls import Control, Majority, majority_answers
from osler.evaluation.option_orders import reorder
from osler.evaluation.protocols.regions import Regions
from osler.records import Record, Turn

Layout = Literal["verified", "documented", "not verified", "records"]
"""How far the reading of a data set is checked: on the published files, against their public documentation only, by
nobody; or there is nothing to check, because the task reads Osler's own record files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One item that cannot be scored rightly, found without a model.

    Args:
        item: id of the record.
        protocol: that fails on the gold answer; None when the item itself is at fault.
        reason: what is wrong.
    """

    item: str
    protocol: str | None
    reason: str


class Summary(NamedTuple):
    """A table over several conventions.

    Args:
        title: of the table.
        head: names of the columns.
        rows: cells as text.
        notes: below it, a sentence each.
    """

    title: str
    head: tuple[str, ...]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()


class Task(ABC):
    """Class attributes say what the benchmark is; `load` says where its records are.

    A subclass is one file with a `TASK`, named in `osler.evaluation.tasks._FILES`.
    """

    name: str
    version: str
    description: str
    layout: Layout = "records"
    """How far the reading of the published files is checked."""
    source: str = ""
    """Source that gets the data (`osler data get`), where there is one."""
    protocols: tuple[str, ...]
    """Protocols that are scored and printed side by side."""
    further: tuple[str, ...] = ()
    """Protocols that fit too but need more than the answers: an encoder, a package, a judge, option scores."""
    strict: tuple[str, ...] = ("strict-exact-match", "closed-whole-word", "token-f1")
    """Protocols under which every gold answer must score 1; `validate` checks it."""
    conventions: tuple[str, ...] = ("official",)
    """Ways to split the data; the first is the default."""
    groups: tuple[str, ...] = ()
    """Tags, besides `question_type`, by which scores are given too."""
    wanted: str = "any record"
    """What `select` keeps, in words."""
    controls: tuple[Control, ...] = ("blank", "shuffled", "majority")
    """Controls that are run unless others are asked for; items with options get `position` as well."""
    max_new_tokens: int = 32
    """Length limit of an answer, where none is given."""
    states_boxes: bool = False
    """Whether questions or answers hold boxes, so that their format can be chosen."""

    @abstractmethod
    def load(self, data: Path, *, split: str, convention: str) -> list[Record]:
        """Records of one split."""

    def protocols_of(self, convention: str) -> tuple[str, ...]:
        """Protocols that are scored under a convention; all of them where conventions ask the same kind of question."""
        return self.protocols

    def summary(self, out: Path, *, data: Path, split: str) -> Summary | None:
        """What several conventions say together, from a folder with a folder of results for each; None if nothing."""
        return None

    def training(self, data: Path, *, convention: str) -> list[Record] | None:
        """Records that a model may have learned from, for the majority control and the leak check; None if unknown."""
        return self.load(data, split="train", convention=convention)

    def select(self, records: Sequence[Record]) -> list[Record]:
        """Those records that are items of this task; how many are not is told with the scores."""
        return list(records)

    def options(self, record: Record) -> tuple[str, ...]:
        """Candidate answers in the order shown; empty where the task has none."""
        return ()

    def reordered(self, record: Record, order: Sequence[int]) -> Record:
        """The record with its options in another order: the new option i is the old option `order[i]`."""
        return reorder(record, self.options(record), order, reference=self.reference(record))

    def option_answers(self, record: Record) -> tuple[str, ...]:
        """Texts whose probabilities are compared where the likeliest option is the answer; the options themselves."""
        return self.options(record)

    def judge_context(self, record: Record) -> str:
        """What a judge who sees no image is told about it, besides the reference answer: the tag `judge_context`."""
        return record.tags.get("judge_context", "")

    def majority(self, training: Sequence[Record]) -> Majority:
        """The majority control, from training records only."""
        return majority_answers(training, reference=self.reference)

    def regions(self, record: Record) -> Regions | None:
        """True boxes and classes; None where the task has none."""
        return None

    def restated(self, record: Record, box_format: str) -> Record:
        """The record with its boxes in another format.

        Raises:
            EvaluationError: when the task has no boxes.
        """
        raise EvaluationError(f"task {self.name} has no boxes; leave box_format={box_format!r} out")

    def box_controls(self, training: Sequence[Record]) -> Mapping[Control, Majority]:
        """Controls that answer with a fixed box, from training records only; none where the task has no boxes."""
        return {}

    def alike(self, record: Record, others: Sequence[Record]) -> bool:
        """Whether a substitute image, which `others` are about, is too much like the record's own to be a control.

        An image with an equal answer to the same question type is none anyway.
        """
        return False

    def image_folder(self, data: Path) -> Path:
        """Folder that the image paths of the records are relative to."""
        return data

    def prompt(self, record: Record) -> tuple[Turn, ...]:
        """Turns up to and including the first user turn."""
        head: list[Turn] = []
        for turn in record.turns:
            head.append(turn)
            if turn.role == "user":
                break
        return tuple(head)

    def reference(self, record: Record) -> str:
        """The gold answer: the first assistant turn; empty when there is none (`validate` reports it)."""
        return next((turn.text for turn in record.turns if turn.role == "assistant"), "")

    def validate(self, records: Sequence[Record]) -> list[Problem]:
        """Feed every gold answer to the strict protocols; report what does not score 1.

        Needs no model. An item that fails here can never be answered rightly, so its label is at fault or its tags are.

        Args:
            records: items of the task.

        Returns:
            Problems in item order; empty when all is well.
        """
        problems = []
        seen: set[str] = set()
        for record in records:
            if record.id in seen:
                problems.append(Problem(item=record.id, protocol=None, reason="its id occurs twice"))
            seen.add(record.id)
            if not any(turn.role == "user" for turn in record.turns):
                problems.append(Problem(item=record.id, protocol=None, reason="it asks nothing: no user turn"))
                continue
            reference = self.reference(record)
            if not reference.strip():
                problems.append(Problem(item=record.id, protocol=None, reason="it has no reference answer"))
                continue
            options, regions = self.options(record), self.regions(record)
            for name in self.strict:
                protocol = protocols.get(name)
                answer_type = record.tags.get("answer_type")
                if not protocol.applies(answer_type=answer_type, reference=reference, options=options, regions=regions):
                    continue
                score = protocol.score(reference, reference, options=options, regions=regions)
                if score.value < 1.0 - 1e-9:
                    reason = f"its gold answer {reference!r} scores {score.value:g}"
                    problems.append(Problem(item=record.id, protocol=name, reason=reason))
        return problems
