"""Phantom studies: what a picture shows, drawn from balanced decks before anything is painted.

Facts come first and geometry follows them, so that kinds, places, sizes, modalities and organs are uniform whatever
fits where. Some pairs of finding and place are held out: they occur in no training or development picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import numpy as np

from osler.boxes import Box

Modality = Literal["x-ray", "CT", "MRI", "ultrasound"]
Organ = Literal["chest", "head", "abdomen", "knee"]
Kind = Literal["nodule", "cyst", "calcification", "mass", "scar", "infarct"]
Side = Literal["left", "right"]
Zone = Literal["upper", "middle", "lower"]
Extent = Literal["small", "medium", "large"]
Split = Literal["instruct", "train", "dev", "test", "heldout"]

MODALITIES: tuple[Modality, ...] = ("x-ray", "CT", "MRI", "ultrasound")
ORGANS: tuple[Organ, ...] = ("chest", "head", "abdomen", "knee")
KINDS: tuple[Kind, ...] = ("nodule", "cyst", "calcification", "mass", "scar", "infarct")
SIDES: tuple[Side, ...] = ("left", "right")
ZONES: tuple[Zone, ...] = ("upper", "middle", "lower")
EXTENTS: tuple[Extent, ...] = ("small", "medium", "large")
COUNTS = ("none", "one", "two", "three")
SPLITS: tuple[Split, ...] = ("instruct", "train", "dev", "test", "heldout")

# long side of a finding's box, as a share of the picture's side; between the classes lies a gap that stays empty
EXTENT_RANGES: dict[Extent, tuple[float, float]] = {
    "small": (0.105, 0.142),
    "medium": (0.170, 0.220),
    "large": (0.265, 0.315),
}

Combination = tuple[Kind, Side, Zone]
# two of six places per kind, two of six kinds per place: the places left to a kind, and the kinds left to a place, stay
# balanced in number
HELD_OUT: frozenset[Combination] = frozenset(
    combination
    for number, kind in enumerate(KINDS)
    for combination in ((kind, "left", ZONES[number % 3]), (kind, "right", ZONES[(number + 1) % 3]))
)
SEEN: tuple[Combination, ...] = tuple(
    (kind, side, zone) for kind in KINDS for side in SIDES for zone in ZONES if (kind, side, zone) not in HELD_OUT
)

Card = TypeVar("Card")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: its kind, place and size. `side` and `zone` are those of its box centre in the picture."""

    kind: Kind
    side: Side
    zone: Zone
    extent: Extent

    @property
    def combination(self) -> Combination:
        """Kind and place, the pair that may be held out."""
        return self.kind, self.side, self.zone


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture shows.

    Args:
        modality: what the picture looks as if it came from.
        organ: body part.
        findings: none to three, in no particular order; no two in one place (side and zone).
    """

    modality: Modality
    organ: Organ
    findings: tuple[Finding, ...]

    @property
    def seen(self) -> bool:
        """Whether every finding lies where training pictures have findings of its kind."""
        return not any(finding.combination in HELD_OUT for finding in self.findings)

    @property
    def count(self) -> str:
        """Number of findings as a word: "none" to "three"."""
        return COUNTS[len(self.findings)]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds present, each once, in the order of `KINDS`."""
        return tuple(kind for kind in KINDS if any(finding.kind == kind for finding in self.findings))

    @property
    def side(self) -> str:
        """ "left", "right", "both", or "" without findings."""
        sides = {finding.side for finding in self.findings}
        return "both" if len(sides) == 2 else "".join(sides)


def finding_of(label: str, box: Box) -> Finding:
    """The facts of a finding read back from a record's region.

    Args:
        label: kind.
        box: in pixels.

    Returns:
        Side and zone of the box's centre (image sides; thirds of the height), size class of its long side.

    Raises:
        ValueError: when the label is no kind.
    """
    kind = KINDS[KINDS.index(cast(Kind, label))]
    x1, y1, x2, y2 = box.xyxy()
    zone = ZONES[min(2, int(3 * (y1 + y2) / 2 / box.height))]
    long = max((x2 - x1) / box.width, (y2 - y1) / box.height)
    return Finding(kind, "left" if (x1 + x2) / 2 < box.width / 2 else "right", zone, extent_of(long))


def extent_of(long: float) -> Extent:
    """Size class of a long side, given as a share of the picture's side; bounds lie midway in the gaps."""
    if long < (EXTENT_RANGES["small"][1] + EXTENT_RANGES["medium"][0]) / 2:
        return "small"
    return "medium" if long < (EXTENT_RANGES["medium"][1] + EXTENT_RANGES["large"][0]) / 2 else "large"


class Deck(Iterator[Card]):
    """Cards in random order; every card once before any comes again, so that counts differ by one at most."""

    def __init__(self, cards: Sequence[Card], rng: np.random.Generator) -> None:
        self._cards, self._rng, self._left = list(cards), rng, list[Card]()

    def __next__(self) -> Card:
        if not self._left:
            self._left = [self._cards[index] for index in self._rng.permutation(len(self._cards))]
        return self._left.pop()


def plan(split: Split, count: int, rng: np.random.Generator) -> list[Scene]:
    """Scenes of a split.

    Args:
        split: "test" and "heldout" hold findings in held-out places (two of five pictures with findings), the others
            none; every "heldout" picture has a finding, since the texts of empty ones are nearly equal.
        count: how many scenes.
        rng: decides everything.
    """
    numbers = Deck([0] * 2 + [1] * 6 + [2] * 2 + [3] * 2 if split != "heldout" else [1] * 6 + [2] * 3 + [3] * 3, rng)
    views = Deck([(modality, organ) for modality in MODALITIES for organ in ORGANS], rng)
    unseen = Deck([True] * 2 + [False] * 3 if split in ("test", "heldout") else [False], rng)
    hands = _Hands(rng)
    scenes = []
    for _ in range(count):
        modality, organ = next(views)
        number = next(numbers)
        scenes.append(Scene(modality, organ, hands.deal(number, seen=not next(unseen)) if number else ()))
    return scenes


class _Hands:
    """Deals findings: lone ones from a deck of all combinations, several ones under conditions."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        # decks of their own for lone findings: hands that do not fit are thrown away, and would unbalance them
        self._lone = {True: Deck(SEEN, rng), False: Deck(sorted(HELD_OUT), rng)}
        self._first = {True: Deck(SEEN, rng), False: Deck(sorted(HELD_OUT), rng)}
        self._lone_extents, self._extents = Deck(EXTENTS, rng), Deck(EXTENTS, rng)
        self._one_kind, self._both_sides = Deck([True, False], rng), Deck([True] * 3 + [False], rng)

    def deal(self, number: int, *, seen: bool) -> tuple[Finding, ...]:
        """`number` findings; with `seen` none of them, else at least the first, in a held-out combination."""
        if number == 1:
            kind, side, zone = next(self._lone[seen])
            return (Finding(kind, side, zone, next(self._lone_extents)),)
        one_kind, both_sides = next(self._one_kind), next(self._both_sides)
        if one_kind and number == 3 and seen:
            both_sides = True  # a kind has two seen places on each side
        pool = SEEN if seen else (*SEEN, *sorted(HELD_OUT))
        while True:
            rest = [pool[index] for index in self._rng.permutation(len(pool))[: number - 1]]
            hand = [next(self._first[seen]), *rest]
            if self._fits(hand, one_kind=one_kind, both_sides=both_sides):
                break
        while True:
            extents = [next(self._extents) for _ in hand]
            if extents.count("large") <= 1:  # more would not fit side by side
                break
        return tuple(
            Finding(kind, side, zone, extent) for (kind, side, zone), extent in zip(hand, extents, strict=True)
        )

    @staticmethod
    def _fits(hand: list[Combination], *, one_kind: bool, both_sides: bool) -> bool:
        kinds = {kind for kind, _, _ in hand}
        places = {(side, zone) for _, side, zone in hand}
        sides = {side for _, side, _ in hand}
        if len(places) < len(hand) or len(kinds) != (1 if one_kind else len(hand)):
            return False
        return (len(sides) == 2) == both_sides
