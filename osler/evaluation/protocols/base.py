"""`Protocol` and `Score`: how one answer becomes one number, and what else is known about that number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from osler.errors import EvaluationError

if TYPE_CHECKING:
    from osler.evaluation.protocols.regions import Regions

AnswerType = Literal["open", "closed", "any"]
Pair = tuple[str, str]
"""An answer and its reference."""


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
        counts: numbers to be added up over items, of protocols whose score of a whole corpus is no mean of items.
    """

    value: float
    parsed: bool = True
    refusal: bool = False
    detail: Mapping[str, float] = field(default_factory=dict)
    choice: str | None = None
    classes: Mapping[str, ClassCounts] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert 0.0 <= self.value <= 1.0, self.value
        assert self.parsed or self.value == 0.0, "an unparsed answer scores 0"
        assert not (self.refusal and self.parsed), "a refusal is an unparsed answer"


def _every_reference(_: str) -> bool:
    return True


def _all_regions(_: Regions) -> bool:
    return True


def _all_options(_: str, __: tuple[str, ...]) -> bool:
    return True


def _runs_here() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Groups of items whose pooled scores a published protocol averages.

    Args:
        tag: of the items.
        values: of the tag; a value without items counts as 0, as published.
    """

    tag: str
    values: tuple[str, ...]


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
        accepts_options: further condition on reference and options, like `accepts`.
        needs_regions: the score depends on the item's true regions; an item of which they are unknown is
            `not_applicable`, unlike one that is known to have none.
        accepts_regions: further condition on the regions, like `accepts`.
        counts_classes: its scores hold counts by class of regions, and no choice among the options.
        prepare: looks at all pairs of a corpus before any is scored (how rare a word is among the references; vectors
            of an encoder, in batches); its result is the last argument of `function`.
        pooled: scores of a whole corpus out of summed `Score.counts`: name of count -> array of sums, to name of
            score -> array of the same shape, NaN where it is not defined. Called with the sums of many resamples at
            once.
        groups: whose pooled scores are averaged beside.
        missing: says what is lacking here (a package, a model folder) for the protocol to run, or None.
    """

    name: str
    version: str
    description: str
    applies_to: AnswerType
    function: Callable[..., Score]
    accepts: Callable[[str], bool] = _every_reference
    needs_options: bool = False
    accepts_options: Callable[[str, tuple[str, ...]], bool] = _all_options
    needs_regions: bool = False
    accepts_regions: Callable[[Regions], bool] = _all_regions
    counts_classes: bool = False
    prepare: Callable[[Sequence[Pair]], Any] | None = None
    pooled: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    groups: Groups | None = None
    missing: Callable[[], str | None] = _runs_here

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
        if self.needs_options and not (options and self.accepts_options(reference, options)):
            return False
        if self.needs_regions and (regions is None or not self.accepts_regions(regions)):
            return False
        kind = (answer_type or "").strip().casefold()
        return (self.applies_to == "any" or kind == self.applies_to) and self.accepts(reference)

    def score(
        self,
        answer: str,
        reference: str,
        *,
        options: tuple[str, ...] = (),
        regions: Regions | None = None,
        prepared: Any = None,
    ) -> Score:
        """Score one answer.

        Args:
            answer: generated text; empty text is a failure that scores 0.
            reference: the reference answer.
            options: candidate answers; protocols that do not need them never see them.
            regions: true regions, likewise.
            prepared: what `prepare` made of the whole corpus; without it, the pair is a corpus of its own.

        Raises:
            EvaluationError: when the reference is blank: no protocol can score against it; when options or regions
                are needed and there are none; when the protocol cannot run here.
        """
        if not reference.strip():
            raise EvaluationError("the reference answer is blank: remove the item or give it an answer")
        blank = not answer.strip()
        if blank and not self.needs_regions and self.pooled is None:
            return Score(value=0.0, parsed=False)
        lacking = self.missing()
        if lacking is not None:
            raise EvaluationError(f"protocol {self.name} cannot run here: {lacking}")
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
        if self.prepare is not None:
            needed.append(self.prepare([(answer, reference)]) if prepared is None else prepared)
        score = self.function(answer, reference, *needed)
        # a blank answer states nothing, but its item's reference still counts in what is pooled over items
        return replace(score, value=0.0, parsed=False, refusal=False, choice=None) if blank else score
