"""Order of the training records: a pure function of seed and epoch, so that a resumed run sees the same order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


class EpochSampler:
    """Shuffle records; optionally keep records of like length together.

    Args:
        size: number of records.
        seed: of the run.
        lengths: length of each record; groups them when given.
        batch: records per optimiser step, the size within which lengths are made alike.
    """

    def __init__(self, size: int, *, seed: int, lengths: list[int] | None = None, batch: int = 1) -> None:
        self.size, self.seed, self.lengths, self.batch, self.epoch = size, seed, lengths, batch, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.size)
        if self.lengths is not None:
            # sort within big chunks only, so that batches stay random, then shuffle the batches
            lengths = np.asarray(self.lengths)
            chunk = self.batch * 50
            parts = [order[start : start + chunk] for start in range(0, self.size, chunk)]
            order = np.concatenate([part[np.argsort(-lengths[part], kind="stable")] for part in parts])
            full = len(order) // self.batch * self.batch
            batches = order[:full].reshape(-1, self.batch)
            order = np.concatenate([batches[random.permutation(len(batches))].ravel(), order[full:]])
        return iter(order.tolist())


class RepeatedBatches:
    """Shuffled whole batches, each several times in a row: for trainers that learn from one batch more than once.

    Args:
        size: number of records; what does not fill a batch is left for another epoch's order.
        batch: records in a batch.
        repeats: times that a batch comes.
        seed: of the run.
        each: times that a record comes side by side in its batch.
    """

    def __init__(self, size: int, *, batch: int, repeats: int, seed: int, each: int = 1) -> None:
        self.size, self.batch, self.repeats, self.each, self.seed, self.epoch = size, batch, repeats, each, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self.batch * self.batch * self.repeats * self.each

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        full = order[: self.size // self.batch * self.batch].reshape(-1, self.batch)
        return iter(np.repeat(np.repeat(full, self.each, axis=1), self.repeats, axis=0).ravel().tolist())
