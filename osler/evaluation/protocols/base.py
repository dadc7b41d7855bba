"""`Protocol` and `Score`: how one answer becomes one number, and what else is known about that number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from osler.errors import EvaluationError

if TYPE_CHECKING:
    from osler.evaluation.protocols.regions import Regions

AnswerType = Literal["open", "closed", "any"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounts:
    """What one answer says about one class of regions; sums over items give recall, precision and mean IoU.

    Args:
        true: true boxes of the class.
        predicted: stated boxes that the answer calls by this class.
        hits: pairs of the two with IoU of at least 0.5.
        iou: sum of IoU of those pairs, near or not.
        found: true boxes of the class that some stated box meets with IoU of at least 0.5, whatever it is called.
        iou_found: sum of IoU of true boxes of the class with their stated boxes, whatever these are called.
    """

    true: int = 0
    predicted: int = 0
    hits: int = 0
    iou: float = 0.0
    found: int = 0
    iou_found: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Result of scoring one answer.

    Args:
        value: in [0, 1]; 0 when the answer could not be parsed. It always stays in the denominator.
        parsed: False when the protocol found no answer in the text (a failure, counted in the report).
        refusal: True when the text declines to answer; a refusal is also `parsed=False`.
        detail: further numbers of the protocol, for instance precision and recall.
        choice: option that the protocol took the answer for, where it knows the options.
        classes: counts by class of regions, of protocols that pair labelled boxes.
    """

    value: float
    parsed: bool = True
    refusal: bool = False
    detail: Mapping[str, float] = field(default_factory=dict)
    choice: str | None = None
    classes: Mapping[str, ClassCounts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert 0.0 <= self.value <= 1.0, self.value
        assert self.parsed or self.value == 0.0, "an unparsed answer scores 0"
        assert not (self.refusal and self.parsed), "a refusal is an unparsed answer"


def _every_reference(_: str) -> bool:
    return True


def _all_regions(_: Regions) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A named and versioned way to score an answer against a reference.

    Args:
        name: as in the registry, for instance `yes-no`.
        version: changes whenever a score can change.
        description: one sentence for reports; says where a released protocol is lenient.
        applies_to: answer types that are scored; "any" scores all items.
        function: pure function (answer, reference) -> `Score`; with `needs_options` the options follow, and with
            `needs_regions` the regions are last.
        accepts: further condition on the reference; an item it refuses is not in the denominator of this protocol
            and is counted as `not_applicable`.
        needs_options: the score depends on the item's candidate answers; an item without any is `not_applicable`.
        needs_regions: the score depends on the item's true regions; an item of which they are unknown is
            `not_applicable`, unlike one that is known to have none.
        accepts_regions: further condition on the regions, like `accepts`.
        counts_classes: its scores hold counts by class of regions, and no choice among the options.
    """

    name: str
    version: str
    description: str
    applies_to: AnswerType
    function: Callable[..., Score]
    accepts: Callable[[str], bool] = _every_reference
    needs_options: bool = False
    needs_regions: bool = False
    accepts_regions: Callable[[Regions], bool] = _all_regions
    counts_classes: bool = False

    def applies(
        self,
        *,
        answer_type: str | None,
        reference: str,
        options: tuple[str, ...] = (),
        regions: Regions | None = None,
    ) -> bool:
        """Whether an item belongs in this protocol's denominator.

        Args:
            answer_type: the item's tag in any case; None (unknown) belongs only to protocols for "any".
            reference: the item's reference answer.
            options: the item's candidate answers, if it has any.
            regions: the item's true regions, where they are known.
        """
        if self.needs_options and not options:
            return False
        if self.needs_regions and (regions is None or not self.accepts_regions(regions)):
            return False
        kind = (answer_type or "").strip().casefold()
        return (self.applies_to == "any" or kind == self.applies_to) and self.accepts(reference)

    def score(
        self, answer: str, reference: str, *, options: tuple[str, ...] = (), regions: Regions | None = None
    ) -> Score:
        """Score one answer.

        Args:
            answer: generated text; empty text is a failure that scores 0.
            reference: the reference answer.
            options: candidate answers; protocols that do not need them never see them.
            regions: true regions, likewise.

        Raises:
            EvaluationError: when the reference is blank: no protocol can score against it; when options or regions
                are needed and there are none.
        """
        if not reference.strip():
            raise EvaluationError("the reference answer is blank: remove the item or give it an answer")
        blank = not answer.strip()
        if blank and not self.needs_regions:
            return Score(value=0.0, parsed=False)
        needed: list[object] = []
        for name, wanted, given in (
            ("options", self.needs_options, options),
            ("regions", self.needs_regions, regions),
        ):
            if wanted and (given is None or given == ()):
                raise EvaluationError(
                    f"protocol {self.name} needs the item's {name}; give them, or choose another protocol"
                )
            if wanted:
                needed.append(given)
        score = self.function(answer, reference, *needed)
        # a blank answer states no box, but its item's boxes still count in what is pooled over items
        return replace(score, value=0.0, parsed=False, refusal=False, choice=None) if blank else score
