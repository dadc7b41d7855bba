from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.errors import EvaluationError
from osler.evaluation.option_orders import (
    best_place,
    condition_of,
    name_option,
    other_orders,
    reorder,
    right_place,
    rotations,
)
from osler.record_options import OPTIONS_TAG, options_of, options_tag
from osler.records import Record, Turn

OPTIONS = ("Yes", "No", "Not a suitable question", "Pneumonia")


def record(name, options, answer, question="Is it ?"):
    turns = (Turn(role="user", text=question), Turn(role="assistant", text=answer))
    return Record(id=name, turns=turns, tags={OPTIONS_TAG: options_tag(options)})


def reference(item):
    return item.answer


def reordered(item, order):
    return reorder(item, options_of(item), order, reference=item.answer)


def test_the_right_place_is_read_from_text_and_letter():
    for text, place in [("no", 1), ("B", 1), ("(D)", 3), ("C: Not a suitable question", 2), ("pneumonia.", 3)]:
        assert right_place(text, OPTIONS) == place, text
    for text in ("E", "perhaps", "b", "A fracture"):  # "A fracture" is no letter
        assert right_place(text, OPTIONS) is None, text
    assert right_place("A", ("B", "A")) == 1, "an option that is a letter itself goes before the letter of a place"


def test_an_option_is_named_the_way_the_reference_is_written():
    assert name_option("no", OPTIONS, 3) == "Pneumonia"
    assert name_option("B", OPTIONS, 3) == "D"
    assert name_option("B: No", OPTIONS, 3) == "D: Pneumonia"


def test_a_letter_moves_with_its_option_and_so_does_the_text_of_the_question():
    item = record("r", OPTIONS, "B", "What? Choices: A: Yes. B: No. C: Not a suitable question. D: Pneumonia.")
    moved = reordered(item, (3, 0, 1, 2))
    assert moved.answer == "C"
    assert options_of(moved) == ("Pneumonia", "Yes", "No", "Not a suitable question")
    assert moved.question == "What? Choices: A: Pneumonia. B: Yes. C: No. D: Not a suitable question."
    assert (item.answer, options_of(item)) == ("B", OPTIONS)
    assert reordered(record("t", OPTIONS, "No"), (3, 0, 1, 2)).answer == "No"
    with pytest.raises(EvaluationError, match="no permutation"):
        reordered(item, (0, 0, 1, 2))


@given(st.integers(2, 8), st.text(max_size=8), st.integers(0, 3), st.data())
@settings(max_examples=60)
def test_rotations_are_all_different_and_move_every_option(count, name, seed, data):
    found = rotations(count, item=name, seed=seed)
    assert len({*found}) == count - 1
    place = data.draw(st.integers(0, count - 1))
    assert sorted(order.index(place) for order in found) == [p for p in range(count) if p != place]
    texts = tuple(f"option {number}" for number in range(count))
    item = record("r", texts, chr(ord("A") + place))
    for order in found:
        moved = reordered(item, order)
        assert texts[place] == options_of(moved)[right_place(moved.answer, options_of(moved))]
        back = tuple(order.index(number) for number in range(count))
        assert reordered(moved, back) == item


def test_a_benchmark_whose_right_option_is_always_last_is_seen_through():
    # three tasks of MedVH: whatever the number of options, the last is right
    items = [record(str(n), OPTIONS[: 2 + n % 3], OPTIONS[1 + n % 3]) for n in range(30)]
    found = best_place(items, options=options_of, reference=reference)
    assert (found.name, found.shares["last"], found.items) == ("last", 1.0, 30)
    assert found.chance == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    assert all(found.answer(item) == (item.answer, False) for item in items)
    assert found.shares["second-to-last"] == 0
    # "always C", or the last where there is no C
    assert found.shares["C"] == pytest.approx(2 / 3)


def test_always_a_on_medvhs_abnormality_detection():
    items = [record(str(n), ("no", "yes"), "A" if n < 231 else "B") for n in range(500)]
    found = best_place(items, options=options_of, reference=reference)
    assert (found.shares["A"], found.shares["B"], found.name) == (0.462, 0.538, "B")
    assert best_place([], options=options_of, reference=reference) is None


def test_orders_of_items_and_prompts_that_do_not_show_them():
    items = [record("two", ("Yes", "No"), "No"), record("four", OPTIONS, "Yes"), Record(id="none", turns=items_turns())]
    found = other_orders(
        items, options=options_of, reordered=reordered, prompt=lambda r: (str(options_of(r)),), orders=2
    )
    assert {name: sorted(records) for name, records in found.items()} == {
        "options-shuffled": ["four", "two"],
        "options-shuffled-2": ["four"],
    }
    assert condition_of(3) == "options-shuffled-3"
    with pytest.raises(EvaluationError, match="record two: its prompt does not show the options"):
        other_orders(items, options=options_of, reordered=reordered, prompt=lambda r: r.turns[:1])


def items_turns():
    return (Turn(role="user", text="Is it ?"), Turn(role="assistant", text="yes"))
