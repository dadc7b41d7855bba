"""`classify-vqa`: image classification asked as a question with candidate answers, by LoGra-Med's prompt."""

from __future__ import annotations

from collections.abc import Sequence

from osler.evaluation.controls import Majority
from osler.evaluation.majority_options import majority_options
from osler.evaluation.tasks.base import Problem
from osler.evaluation.tasks.omnimedvqa_files import OmniMedVqaFiles
from osler.record_options import OPTIONS_TAG, options_of
from osler.records import IMAGE_PLACEHOLDER, Record, Turn

CANDIDATES = "Here are {count} candidate answers:"
"""Follows the question without a space, as released; then comes the list of options as Python prints it."""
ANSWER_ONLY = (
    " Only return what you think is the correct answer from the candidate answers, do not return any other irrelevant "
    "text!"
)
"""OmniMedVQA's sentence, which LoGra-Med's script keeps."""


def classification_prompt(question: str, options: Sequence[str], *, images: int = 1) -> str:
    r"""Text of the user turn: question, candidates, the demand to return nothing else, then "\n<image>".

    The words are those of the released code. Ours are two things it does not say: white space at the ends of the
    question is dropped, and a record with several images gets one placeholder line each. White space around a
    placeholder does not reach the model anyway: how an image is set off from text is the chat template's affair.

    Args:
        question: as it stands in the data.
        options: candidate answers, in the order of the data.
        images: number of images shown.

    Example:
        >>> classification_prompt("What is this?", ["CT", "MRI"])[:56]
        "What is this?Here are 2 candidate answers:['CT', 'MRI'] "
    """
    text = f"{question.strip()}{CANDIDATES.format(count=len(options))}{list(options)!s}{ANSWER_ONLY}"
    return text + f"\n{IMAGE_PLACEHOLDER}" * images


class ClassifyVqa(OmniMedVqaFiles):
    """Zero-shot classification as in LoGra-Med, which takes 23 data sets of OmniMedVQA.

    `data` is what `records` reads, where the tag `options` makes a record an item; or else a folder in OmniMedVQA's
    published layout, whose open-access part is the test split. There a row that cannot be scored stops the reading; the
    source `omnimedvqa` sets such rows aside.

    Deviations from the released code, which samples at temperature 0.7 up to 256 tokens and drops failed samples:
    decoding is the runner's, greedy by default, with its length limit; every item stays in the denominator.
    """

    name = "classify-vqa"
    version = "1"
    description = "Classification as a question with candidate answers (LoGra-Med, OmniMedVQA)"
    protocols = ("logra-med-nearest-option", "candidate-whole-word", "strict-exact-match")
    strict = protocols
    groups = ("dataset", "modality")
    wanted = f"records with the tag {OPTIONS_TAG!r}"
    layout = "documented"
    source = "omnimedvqa"

    def select(self, records: Sequence[Record]) -> list[Record]:
        """Those with options."""
        return [record for record in records if OPTIONS_TAG in record.tags]

    def options(self, record: Record) -> tuple[str, ...]:
        """Candidates of the tag `options`."""
        return options_of(record)

    def prompt(self, record: Record) -> tuple[Turn, ...]:
        """System turns as they are, then the question with its candidates."""
        *head, _ = super().prompt(record)
        text = classification_prompt(record.question, self.options(record), images=len(record.images))
        return (*head, Turn(role="user", text=text))

    def majority(self, training: Sequence[Record]) -> Majority:
        """The commonest right answer of the same data set and question type, among the item's own options."""
        return majority_options(training, reference=self.reference, options=self.options)

    def validate(self, records: Sequence[Record]) -> list[Problem]:
        """As every task, and an item needs options; a gold answer that is no option scores 0 and is reported so."""
        lacking = [
            Problem(item=record.id, protocol=None, reason=f"it has no tag {OPTIONS_TAG!r}")
            for record in records
            if OPTIONS_TAG not in record.tags
        ]
        return lacking + super().validate(records)


TASK = ClassifyVqa()
