"""Splits: nothing straddles, nothing is lost, order does not matter."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.errors import RecordError
from osler.record_splits import split_records
from osler.records import Record

FRACTIONS = {"train": 0.6, "val": 0.2, "test": 0.2}
FEW = st.none() | st.sampled_from("abcde")


def record(id, subject=None, study=None, paths=(), hashes=()) -> Record:
    images = [{"path": path} for path in paths]
    images += [{"path": f"{id}-{number}.png", "sha256": digest * 64} for number, digest in enumerate(hashes)]
    turns = [{"role": "user", "text": "<image>" * len(images) + "q"}]
    return Record.model_validate({"id": id, "images": images, "turns": turns, "subject": subject, "study": study})


@st.composite
def record_lists(draw):
    count = draw(st.integers(0, 12))
    return [
        record(
            f"r{number}",
            draw(FEW),
            draw(FEW),
            draw(st.lists(st.sampled_from(["1.png", "2.png", "./1.png"]), max_size=2)),
            draw(st.lists(st.sampled_from("ab"), max_size=1)),
        )
        for number in range(count)
    ]


def links(record: Record, by: str) -> set:
    """What ties a record to others, written down independently of the code under test."""
    found = {("path", image.path.removeprefix("./")) for image in record.images}
    found |= {("hash", image.sha256) for image in record.images if image.sha256}
    if by in ("subject", "study") and record.study is not None:
        found.add(("study", record.study))
    if by == "subject" and record.subject is not None:
        found.add(("subject", record.subject))
    return found


@settings(deadline=None)
@given(record_lists(), st.integers(0, 1000), st.sampled_from(["subject", "study", "image"]))
def test_no_group_straddles_and_no_record_is_lost(originals, seed, by):
    result = split_records(originals, FRACTIONS, seed=seed, by=by, allow_empty=True)
    assert sorted(r.id for part in result.parts.values() for r in part) == sorted(r.id for r in originals)
    assert result.counts == {name: len(result[name]) for name in FRACTIONS}
    for one, other in itertools.combinations(result.parts.values(), 2):
        for a, b in itertools.product(one, other):
            assert not links(a, by) & links(b, by)


@settings(deadline=None)
@given(record_lists(), st.randoms(use_true_random=False))
def test_order_does_not_matter(originals, shuffle: random.Random):
    shuffled = list(originals)
    shuffle.shuffle(shuffled)
    first = split_records(originals, FRACTIONS, seed=7, allow_empty=True)
    second = split_records(shuffled, FRACTIONS, seed=7, allow_empty=True)
    assert {name: {r.id for r in part} for name, part in first.parts.items()} == {
        name: {r.id for r in part} for name, part in second.parts.items()
    }
    assert first.groups == second.groups


def test_links_reach_through_other_records():
    chain = [
        record("a", subject="p1"),
        record("b", subject="p1", study="s1"),
        record("c", study="s1", paths=["x.png"]),
        record("d", subject="p2", paths=["x.png"]),
    ]
    for seed in range(20):
        result = split_records(chain, {"train": 0.5, "test": 0.5}, seed=seed, allow_empty=True)
        assert sorted(result.counts.values()) == [0, 4]
        assert sum(result.groups.values()) == 1


def test_weaker_splits_are_weaker():
    originals = [record(f"r{n}", subject="p", study=f"s{n}", paths=[f"{n}.png"]) for n in range(100)]
    assert sum(split_records(originals, FRACTIONS, seed=1, allow_empty=True).groups.values()) == 1
    assert sum(split_records(originals, FRACTIONS, seed=1, by="study").groups.values()) == 100


def test_fractions_are_met_and_seeds_differ():
    originals = [record(f"r{n}", subject=f"p{n}") for n in range(3000)]
    result = split_records(originals, FRACTIONS, seed=1)
    for name, share in FRACTIONS.items():  # 4 standard deviations of a binomial
        assert abs(result.counts[name] / 3000 - share) < 4 * (share * (1 - share) / 3000) ** 0.5
    assert result.ungrouped == 0
    assert result["test"] != split_records(originals, FRACTIONS, seed=2)["test"]


def test_groups_stay_when_others_come():
    originals = [record(f"r{n}", subject=f"p{n}") for n in range(300)]
    small, large = (split_records(part, FRACTIONS, seed=1) for part in (originals[:200], originals))
    for name in FRACTIONS:
        assert {r.id for r in small[name]} <= {r.id for r in large[name]}


def test_records_without_keys_are_counted():
    assert split_records([record("a"), record("b")], {"all": 1.0}, seed=0).ungrouped == 2


@pytest.mark.parametrize(
    ("fractions", "options", "message"),
    [
        ({"a": 0.5}, {}, "add up to 1"),
        ({"a": 1.5, "b": -0.5}, {}, "add up to 1"),
        ({}, {}, "add up to 1"),
        ({"a": float("nan"), "b": 1}, {}, "add up to 1"),
        ({"a": 1.0}, {"by": "patient"}, "by is 'patient'"),
        ({"a": 0.5, "b": 0.5}, {}, "gets none of the 1 groups"),
    ],
)
def test_refused(fractions, options, message):
    with pytest.raises(RecordError, match=message):
        split_records([record("x")], fractions, seed=0, **options)


def test_an_id_twice_is_refused():
    with pytest.raises(RecordError, match="twice"):
        split_records([record("x"), record("x")], {"a": 1.0}, seed=0)
