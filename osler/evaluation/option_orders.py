"""Options by their place: which one is right, what a fixed place earns, and items with their options in another order.

- `position`: the answer that always names the same place ("A", "B", ..., "last", "second-to-last"), and of these the
  one that is right most often *on the items asked*. It is no model and no fair opponent: it tells what the place of the
  right option gives away. In three tasks of MedVH (arXiv 2407.02730) the right option is always the last.
- `options-shuffled`: the model is asked again with the options rotated by some places, in an order of rotations that
  hangs on the seed and the item. With all rotations, "right in every order" is the CircularEval of MMBench
  (arXiv 2307.06281).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from osler.errors import EvaluationError
from osler.evaluation.protocols.vqa_text import normalise
from osler.record_options import OPTIONS_TAG, options_tag
from osler.records import Record, Turn

ORDERS = 3
"""Further orders asked by default: all rotations of up to four options."""
_LETTER = re.compile(r"\(?([A-Z])\)?\s*(?:[:.)]\s*(.*))?", re.DOTALL)


def right_place(reference: str, options: Sequence[str]) -> int | None:
    """0-based place of the right option; None when the reference names none.

    Args:
        reference: text of an option, or its letter ("B", "(B)", "B: yes").
        options: in the order shown.
    """
    texts = [normalise(option) for option in options]
    if normalise(reference) in texts:
        return texts.index(normalise(reference))
    letter = _LETTER.fullmatch(reference.strip())
    if letter is None or ord(letter[1]) - ord("A") >= len(options):
        return None
    return ord(letter[1]) - ord("A")


def name_option(reference: str, options: Sequence[str], place: int) -> str:
    """The option at a place, written the way the reference names the right one: as text, letter, or both."""
    letter = _LETTER.fullmatch(reference.strip())
    if normalise(reference) in [normalise(option) for option in options] or letter is None:
        return options[place]
    named = chr(ord("A") + place)
    return f"{named}: {options[place]}" if letter[2] else named


def reorder(record: Record, options: Sequence[str], order: Sequence[int], *, reference: str) -> Record:
    """The record with its options in another order: the new option i is the old option `order[i]`.

    The tag `options` is rewritten, options that stand in the question behind their letters ("A: yes. B: no.") trade
    places, and a reference that is a letter becomes the new letter.

    Args:
        record: to be changed; it is left as it is.
        options: of the record, in the order shown.
        order: a permutation of their places.
        reference: the record's gold answer.

    Raises:
        EvaluationError: when `order` is no permutation.
    """
    if sorted(order) != list(range(len(options))):
        raise EvaluationError(f"order {list(order)} is no permutation of {len(options)} options")
    moved = [options[place] for place in order]
    old = right_place(reference, options)
    gold = reference if old is None else name_option(reference, moved, list(order).index(old))
    turns: list[Turn] = []
    for turn in record.turns:
        text = turn.text
        if turn.role == "user":
            text = _swap_in_text(text, options, moved)
        elif turn.role == "assistant" and text == reference:
            text = gold
        turns.append(turn.model_copy(update={"text": text}))
    tags = dict(record.tags)
    if OPTIONS_TAG in tags:
        tags[OPTIONS_TAG] = options_tag(moved)
    return record.model_copy(update={"turns": tuple(turns), "tags": tags})


def _swap_in_text(text: str, options: Sequence[str], moved: Sequence[str]) -> str:
    """Options that follow their letters, one after the other, replaced; other texts are left."""
    spans, start = [], 0
    for number, option in enumerate(options):
        letter = chr(ord("A") + number)
        found = re.compile(rf"(?<![A-Za-z]){letter}\)?\s*[:.)]\s*({re.escape(option)})").search(text, start)
        if found is None:
            return text
        spans.append(found.span(1))
        start = found.end()
    for (begin, end), option in reversed(list(zip(spans, moved, strict=True))):
        text = text[:begin] + option + text[end:]
    return text


def rotations(count: int, *, item: str, seed: int) -> list[tuple[int, ...]]:
    """All rotations but the identity, in an order that hangs on the seed and the item alone."""
    shifts = sorted(
        range(1, count), key=lambda shift: hashlib.sha256(f"{seed}\x1f{item}\x1f{shift}".encode()).hexdigest()
    )
    return [tuple((place + shift) % count for place in range(count)) for shift in shifts]


def condition_of(number: int) -> str:
    """Name of the condition of the 1-based further order."""
    return "options-shuffled" if number == 1 else f"options-shuffled-{number}"


def other_orders(
    records: Sequence[Record],
    *,
    options: Callable[[Record], Sequence[str]],
    reordered: Callable[[Record, Sequence[int]], Record],
    prompt: Callable[[Record], tuple[Turn, ...]],
    orders: int = ORDERS,
    seed: int = 0,
) -> dict[str, dict[str, Record]]:
    """Records with their options in other orders: condition -> item id -> record.

    An item takes part in as many orders as it has rotations; one without options in none.

    Args:
        records: items.
        options: of a record.
        reordered: record and order -> record, see `reorder`.
        prompt: what the model is shown.
        orders: at most so many.
        seed: of the order of rotations.

    Raises:
        EvaluationError: when another order leaves a prompt as it is: the model would be asked the same again.
    """
    found: dict[str, dict[str, Record]] = {}
    for record in records:
        texts = options(record)
        for number, order in enumerate(rotations(len(texts), item=record.id, seed=seed)[:orders], start=1):
            changed = reordered(record, order)
            if prompt(changed) == prompt(record):
                raise EvaluationError(
                    f"record {record.id}: its prompt does not show the options, so their order cannot be shuffled; "
                    "leave the control options-shuffled out"
                )
            found.setdefault(condition_of(number), {})[record.id] = changed
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPlace:
    """The best fixed place on the items asked.

    Args:
        place: 0-based; negative counts from the last.
        name: of the place: "A", "B", ..., "last" or "second-to-last".
        shares: name of each place -> share of the items whose right option stands there.
        chance: mean of 1 / number of options.
        items: items with options whose right one is known.
        options: of a record.
        reference: of a record.
    """

    place: int
    name: str
    shares: Mapping[str, float]
    chance: float
    items: int
    options: Callable[[Record], Sequence[str]] = field(repr=False)
    reference: Callable[[Record], str] = field(repr=False)

    def answer(self, record: Record) -> tuple[str, bool]:
        """The option at that place, or the last where there are fewer; and whether that was so."""
        texts = self.options(record)
        if not texts:
            return "", True
        place = _at(self.place, len(texts))
        return name_option(self.reference(record), texts, place), not -len(texts) <= self.place < len(texts)


def _at(place: int, count: int) -> int:
    return max(place + count, 0) if place < 0 else min(place, count - 1)


def best_place(
    records: Sequence[Record],
    *,
    options: Callable[[Record], Sequence[str]],
    reference: Callable[[Record], str],
) -> FixedPlace | None:
    """Count how often each place is right; None when no item has options with a known right one.

    Args:
        records: items asked.
        options: of a record.
        reference: of a record.
    """
    sizes, right = [], []
    for record in records:
        texts = options(record)
        gold = right_place(reference(record), texts) if len(texts) > 1 else None
        if gold is not None:
            sizes.append(len(texts))
            right.append(gold)
    if not sizes:
        return None
    # where items differ in length, "the highest letter, or else the last" is "the last"
    letters = max(sizes) - (min(sizes) < max(sizes))
    places = {chr(ord("A") + place): place for place in range(min(letters, 26))}
    places |= {"last": -1, "second-to-last": -2}
    shares = {
        name: sum(_at(place, size) == gold for size, gold in zip(sizes, right, strict=True)) / len(sizes)
        for name, place in places.items()
    }
    name = max(shares, key=lambda name: shares[name])
    return FixedPlace(
        place=places[name],
        name=name,
        shares=shares,
        chance=sum(1 / size for size in sizes) / len(sizes),
        items=len(sizes),
        options=options,
        reference=reference,
    )
