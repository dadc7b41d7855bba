"""`Protocol` and `Score`: how one answer becomes one number, and what else is known about that number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from osler.errors import EvaluationError

AnswerType = Literal["open", "closed", "any"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Result of scoring one answer.

    Args:
        value: in [0, 1]; 0 when the answer could not be parsed. It always stays in the denominator.
        parsed: False when the protocol found no answer in the text (a failure, counted in the report).
        refusal: True when the text declines to answer; a refusal is also `parsed=False`.
        detail: further numbers of the protocol, for instance precision and recall.
        choice: option that the protocol took the answer for, where it knows the options.
    """

    value: float
    parsed: bool = True
    refusal: bool = False
    detail: Mapping[str, float] = field(default_factory=dict)
    choice: str | None = None

    def __post_init__(self) -> None:
        assert 0.0 <= self.value <= 1.0, self.value
        assert self.parsed or self.value == 0.0, "an unparsed answer scores 0"
        assert not (self.refusal and self.parsed), "a refusal is an unparsed answer"


def _every_reference(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A named and versioned way to score an answer against a reference.

    Args:
        name: as in the registry, for instance `yes-no`.
        version: changes whenever a score can change.
        description: one sentence for reports; says where a released protocol is lenient.
        applies_to: answer types that are scored; "any" scores all items.
        function: pure function (answer, reference) -> `Score`, or (answer, reference, options) with `needs_options`.
        accepts: further condition on the reference; an item it refuses is not in the denominator of this protocol
            and is counted as `not_applicable`.
        needs_options: the score depends on the item's candidate answers; an item without any is `not_applicable`.
    """

    name: str
    version: str
    description: str
    applies_to: AnswerType
    function: Callable[..., Score]
    accepts: Callable[[str], bool] = _every_reference
    needs_options: bool = False

    def applies(self, *, answer_type: str | None, reference: str, options: tuple[str, ...] = ()) -> bool:
        """Whether an item belongs in this protocol's denominator.

        Args:
            answer_type: the item's tag in any case; None (unknown) belongs only to protocols for "any".
            reference: the item's reference answer.
            options: the item's candidate answers, if it has any.
        """
        if self.needs_options and not options:
            return False
        kind = (answer_type or "").strip().casefold()
        return (self.applies_to == "any" or kind == self.applies_to) and self.accepts(reference)

    def score(self, answer: str, reference: str, *, options: tuple[str, ...] = ()) -> Score:
        """Score one answer.

        Args:
            answer: generated text; empty text is a failure that scores 0.
            reference: the reference answer.
            options: candidate answers; protocols that do not need them never see them.

        Raises:
            EvaluationError: when the reference is blank: no protocol can score against it; when options are needed and
                there are none.
        """
        if not reference.strip():
            raise EvaluationError("the reference answer is blank: remove the item or give it an answer")
        if not answer.strip():
            return Score(value=0.0, parsed=False)
        if not self.needs_options:
            return self.function(answer, reference)
        if not options:
            raise EvaluationError(
                f"protocol {self.name} needs the item's options; give them, or choose another protocol"
            )
        return self.function(answer, reference, options)
