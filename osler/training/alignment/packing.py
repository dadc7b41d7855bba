"""Put texts side by side into rows of about equal length, so that a pass over many short texts has no padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

TARGET_LENGTH = 256
"""Tokens in a row, when no text is longer: attention within a row grows with the square of its length."""


class Packed(NamedTuple):
    """Texts in R rows of L tokens.

    Args:
        ids_RL: tokens; the few places left over hold the filler.
        positions_RL: restart with every text, which is how attention knows that a new one begins.
        segment_RL: number of the text, -1 at left-over places.
    """

    ids_RL: Tensor
    positions_RL: Tensor
    segment_RL: Tensor


def plan_rows(lengths: Sequence[int], *, target: int = TARGET_LENGTH) -> list[list[int]]:
    """Assign texts to rows: longest first, each into the fullest row that still takes it.

    The row length starts at total / rows and grows until all texts fit into that number of rows.

    Args:
        lengths: tokens of each text, at least 1.
        target: wanted tokens in a row.

    Returns:
        For each row the numbers of its texts.
    """
    longest, total = max(lengths), sum(lengths)
    count = max(1, round(total / max(target, longest)))
    capacity = max(longest, -(-total // count))
    order = sorted(range(len(lengths)), key=lambda number: (-lengths[number], number))
    while True:
        rows: list[list[int]] = [[] for _ in range(count)]
        room = [capacity] * count
        for number in order:
            fitting = [row for row in range(count) if room[row] >= lengths[number]]
            if not fitting:
                break
            best = min(fitting, key=lambda row: room[row])
            rows[best].append(number)
            room[best] -= lengths[number]
        else:
            return [row for row in rows if row]
        capacity += max(1, capacity // 64)


def pack(ids_T: Tensor, lengths: Sequence[int], *, filler: int, rows: list[list[int]] | None = None) -> Packed:
    """Pack texts.

    Args:
        ids_T: tokens of all texts, one text after the other.
        lengths: of each.
        filler: token for left-over places.
        rows: from `plan_rows`; a single row holds all texts in order.
    """
    rows = rows if rows is not None else plan_rows(lengths)
    texts = ids_T.split(list(lengths))
    length = max(sum(lengths[number] for number in row) for row in rows)
    shape = (len(rows), length)
    ids = torch.full(shape, filler, dtype=torch.long)
    positions = torch.zeros(shape, dtype=torch.long)
    segment = torch.full(shape, -1, dtype=torch.long)
    for row, numbers in enumerate(rows):
        place = 0
        for number in numbers:
            part = slice(place, place + lengths[number])
            ids[row, part] = texts[number].cpu()
            positions[row, part] = torch.arange(lengths[number])
            segment[row, part] = number
            place += lengths[number]
    return Packed(*(tensor.to(ids_T.device) for tensor in (ids, positions, segment)))
