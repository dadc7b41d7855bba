"""What multiple-choice tasks share: the tag `options`, prompts with letters, the majority among an item's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from osler.evaluation.controls import Majority
from osler.evaluation.majority_options import majority_options
from osler.evaluation.tasks.base import Problem
from osler.evaluation.tasks.published import Published
from osler.record_options import OPTIONS_TAG, options_of
from osler.records import IMAGE_PLACEHOLDER, Record, Turn

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedMajority:
    """The majority control where some items have options and some have none.

    Args:
        choices: for items with options.
        texts: for the others.
    """

    choices: Majority
    texts: Majority

    @property
    def trained_on(self) -> int:
        """Number of training records counted."""
        return self.texts.trained_on

    @property
    def by(self) -> str:
        """What the commonest answer is counted within."""
        return f"{self.choices.by}; without options, {self.texts.by}"

    def answer(self, record: Record) -> tuple[str, bool]:
        """The majority answer for an item, and whether a fall-back was needed."""
        return (self.choices if OPTIONS_TAG in record.tags else self.texts).answer(record)


class Choice(Published):
    """Questions with candidate answers. The reference is the text of the right one, to the letter."""

    protocols: tuple[str, ...] = ("option-letter", "candidate-whole-word")
    groups: tuple[str, ...] = ("dataset",)
    wanted = f"records with the tag {OPTIONS_TAG!r}"
    needs_choices = True
    """Whether a record without options is no item."""
    by_letter = True
    """Whether the prompt asks for a letter, so that letters are what probabilities are compared of."""

    def select(self, records: Sequence[Record]) -> list[Record]:
        """Those with options, where all items have some."""
        return [record for record in records if not self.needs_choices or OPTIONS_TAG in record.tags]

    def options(self, record: Record) -> tuple[str, ...]:
        """Candidates of the tag `options`."""
        return options_of(record)

    def option_answers(self, record: Record) -> tuple[str, ...]:
        """Letters of the options, or their texts where the prompt asks for those."""
        options = self.options(record)
        return tuple(LETTERS[: len(options)]) if self.by_letter else options

    def asked(self, question: str, options: Sequence[str]) -> str:
        """Text of the user turn, without pictures."""
        return f"{question}\n" + "\n".join(lettered(options)) + "\nAnswer with the letter of the right option."

    def prompt(self, record: Record) -> tuple[Turn, ...]:
        """System turns as they are, then the pictures and the question with its candidates."""
        *head, last = super().prompt(record)
        options = self.options(record)
        if not options:
            return (*head, last)
        text = f"{IMAGE_PLACEHOLDER}\n" * len(record.images) + self.asked(record.question, options)
        return (*head, Turn(role="user", text=text))

    def majority(self, training: Sequence[Record]) -> Majority:
        """The commonest right answer of the same data set and question type, among the item's own options."""
        chosen = [record for record in training if OPTIONS_TAG in record.tags]
        texts = super().majority(training)
        if not chosen:
            return texts
        choices = majority_options(chosen, reference=self.reference, options=self.options)
        return choices if self.needs_choices else MixedMajority(choices=choices, texts=texts)

    def validate(self, records: Sequence[Record]) -> list[Problem]:
        """As every task, and a right answer has to be one of the item's options."""
        problems = [
            Problem(item=record.id, protocol=None, reason=f"{self.reference(record)!r} is none of its options")
            for record in records
            if (options := self.options(record)) and self.reference(record) not in options
        ]
        return problems + super().validate(records)


def lettered(options: Sequence[str]) -> list[str]:
    """Options with their letters.

    Example:
        >>> lettered(["CT", "MRI"])
        ['A. CT', 'B. MRI']
    """
    return [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
