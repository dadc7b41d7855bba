from collections import Counter
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.training.sampling import RepeatedBatches


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
def test_whole_batches_repeated_in_place(size, batch, repeats, each, seed):
    sampler = RepeatedBatches(size, batch=batch, repeats=repeats, seed=seed, each=each)
    order = list(sampler)
    assert len(order) == len(sampler)
    assert set(Counter(order).values()) <= {repeats * each}
    assert len(set(order)) == size // batch * batch
    for start in range(0, len(order), batch * each):
        rows = order[start : start + batch * each]
        assert [row for row in rows[::each] for _ in range(each)] == rows
        assert len(set(rows)) == batch
        block = start // (batch * each) // repeats * repeats * batch * each
        assert rows == order[block : block + batch * each]


def test_the_order_is_that_of_seed_and_epoch():
    def order(seed, epoch):
        sampler = RepeatedBatches(20, batch=4, repeats=2, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 3) == order(1, 3)
    assert order(1, 3) != order(1, 4)
    assert order(1, 3) != order(2, 3)


@pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed")
def test_the_shape_is_that_of_trls_sampler():
    from trl.trainer.utils import RepeatSampler

    theirs = list(RepeatSampler(list(range(11)), mini_repeat_count=3, batch_size=4, repeat_count=2, seed=0))
    ours = list(RepeatedBatches(11, batch=4, repeats=2, seed=0, each=3))

    def shape(order):
        names = {}
        return [names.setdefault(row, len(names)) for row in order]

    assert shape(ours) == shape(theirs)
