"""`MajorityOptions`: the majority control where every item has its own candidate answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from osler.errors import EvaluationError
from osler.evaluation.controls import question_type
from osler.evaluation.protocols.vqa_text import normalise
from osler.records import Record

DATASET_TAG = "dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityOptions:
    """The option that is commonest as a right answer in training; the answer is always an option of the item.

    Fall-back order, as soon as none of the item's options is known: same data set whatever the question type, same
    question type whatever the data set, all, and at last the item's first option. Ties go to the alphabetically first.

    Args:
        counts: (data set or None, question type or None) -> normalised right answer -> how often; None stands for any.
        options: candidate answers of a record.
        trained_on: number of training records counted.
    """

    counts: dict[tuple[str | None, str | None], Counter[str]] = field(repr=False)
    options: Callable[[Record], tuple[str, ...]] = field(repr=False)
    trained_on: int

    @property
    def by(self) -> str:
        """What the commonest answer is counted within."""
        return "data set and question type, among the item's options"

    def answer(self, record: Record) -> tuple[str, bool]:
        """The majority option for an item, and whether a fall-back was needed."""
        dataset, kind, options = record.tags.get(DATASET_TAG, ""), question_type(record), self.options(record)
        for key in ((dataset, kind), (dataset, None), (None, kind), (None, None)):
            counter = self.counts.get(key, Counter())
            known = [option for option in options if counter[normalise(option)]]
            if known:
                return min(known, key=lambda text: (-counter[normalise(text)], text)), key != (dataset, kind)
        return options[0], True


def majority_options(
    training: Sequence[Record],
    *,
    reference: Callable[[Record], str],
    options: Callable[[Record], tuple[str, ...]],
) -> MajorityOptions:
    """Count normalised right answers of training records.

    Raises:
        EvaluationError: when there are none: a majority of the test answers would be no control but a leak.
    """
    if not training:
        raise EvaluationError("the majority control needs training records; it is never computed on the test items")
    counts: dict[tuple[str | None, str | None], Counter[str]] = defaultdict(Counter)
    for record in training:
        for dataset in (record.tags.get(DATASET_TAG, ""), None):
            for kind in (question_type(record), None):
                counts[dataset, kind][normalise(reference(record))] += 1
    return MajorityOptions(counts=dict(counts), options=options, trained_on=len(training))
