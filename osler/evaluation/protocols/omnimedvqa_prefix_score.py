"""`omnimedvqa-prefix-score`: the option that the model finds least surprising after a fixed prefix.

The runner computes the mean cross-entropy of every continuation; the answer of an item is then the text of one option.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from osler.errors import EvaluationError
from osler.evaluation.protocols.base import Protocol, Score


def prefix(question: str) -> str:
    """What stands before an option; the options are not shown. Source: OmniMedVQA (arXiv 2402.09181), released code."""
    return f"Question: {question} The answer is"


def continuation(option: str) -> str:
    """What is scored after the prefix."""
    return f" {option}."


def least_loss(losses: Sequence[float], options: tuple[str, ...]) -> str:
    """The option with the smallest mean loss of its own tokens; the first wins ties.

    The released code takes the largest of softmax(1 / loss), which is the same for positive losses.

    Raises:
        EvaluationError: when the numbers do not fit the options or one is no finite number.
    """
    if len(losses) != len(options):
        raise EvaluationError(f"{len(losses)} losses for {len(options)} options; give one each")
    for option, loss in zip(options, losses, strict=True):
        if not math.isfinite(loss):
            raise EvaluationError(f"the loss of option {option!r} is {loss}; want a finite number")
    return options[min(range(len(options)), key=losses.__getitem__)]


def score(answer: str, reference: str, options: tuple[str, ...]) -> Score:
    """1 when the answer is, character by character, the reference; an answer that is no option is a failure."""
    if answer not in options:
        return Score(value=0.0, parsed=False)
    return Score(value=float(answer == reference), choice=answer)


PROTOCOL = Protocol(
    name="omnimedvqa-prefix-score",
    version="1",
    description="The option of least mean token loss after OmniMedVQA's prefix; for runs that score options.",
    applies_to="any",
    function=score,
    needs_options=True,
)
