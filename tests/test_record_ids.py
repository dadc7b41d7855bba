"""Ids, pseudonyms and the hash of a record set."""

from __future__ import annotations

import doctest
import hashlib
import hmac
import random
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler import record_ids
from osler.errors import RecordError
from osler.record_ids import content_hash, pseudonym, stable_id
from osler.records import Record
from tests.record_strategies import record_sets, records

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
PARTS = st.lists(st.text(max_size=4) | st.integers() | st.none() | st.booleans(), min_size=1, max_size=3)


def typed(parts):
    return [(type(part), part) for part in parts]


@PATIENT
@given(PARTS, PARTS)
def test_ids_are_equal_exactly_when_their_parts_are(a, b):
    assert (stable_id(*a) == stable_id(*b)) == (typed(a) == typed(b))


def test_ids_are_the_same_in_another_process():
    program = "from osler.record_ids import stable_id; print(stable_id('a', 1, None, 'ä'))"
    for seed in ("0", "1"):
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert result.stdout.strip() == stable_id("a", 1, None, "ä")


def test_docstring_example_runs():
    assert doctest.testmod(record_ids) == (0, 1)


@pytest.mark.parametrize("parts", [(), (float("nan"),)])
def test_impossible_ids(parts):
    with pytest.raises(RecordError):
        stable_id(*parts)


SALT = "0123456789abcdef"


def test_pseudonym_is_the_keyed_hash():
    assert pseudonym("12345 ", salt=SALT) == hmac.new(SALT.encode(), b"12345", hashlib.sha256).hexdigest()[:32]
    assert pseudonym("12345", salt=SALT) == pseudonym("12345\0", salt=SALT.encode())
    assert pseudonym("12345", salt=SALT) != pseudonym("12345", salt=SALT[::-1])
    assert pseudonym("12345", salt=SALT) != pseudonym("12346", salt=SALT)


@pytest.mark.parametrize(("value", "salt"), [("", SALT), ("  ", SALT), ("123", "short"), ("123", b"")])
def test_pseudonyms_that_would_hide_nothing_are_refused(value, salt):
    with pytest.raises(RecordError):
        pseudonym(value, salt=salt)


@PATIENT
@given(record_sets(), st.randoms(use_true_random=False))
def test_hash_does_not_depend_on_order(originals, shuffle: random.Random):
    shuffled = list(originals)
    shuffle.shuffle(shuffled)
    assert content_hash(shuffled) == content_hash(originals)


@PATIENT
@given(records(), records())
def test_hash_tells_records_apart(a, b):
    assert (content_hash([a]) == content_hash([b])) == (a == b)
    assert content_hash([a]) != content_hash([a, a])
    assert content_hash([a]) != content_hash([])


def test_hash_sees_numbers_not_their_spelling():
    def with_box(numbers: str) -> Record:
        region = f'{{"box": {{"xyxy": {numbers}, "size": [10, 10]}}, "label": "x"}}'
        turns = '[{"role": "user", "text": "<image>"}]'
        text = f'{{"id": "a", "images": [{{"path": "p"}}], "turns": {turns}, "regions": [{region}]}}'
        return Record.model_validate_json(text)

    same = {content_hash([with_box(numbers)]) for numbers in ("[0, 1, 2, 3]", "[-0.0, 1.0, 2e0, 30e-1]")}
    assert len(same) == 1
    assert content_hash([with_box("[0, 1, 2, 3.0000000000000004]")]) not in same
