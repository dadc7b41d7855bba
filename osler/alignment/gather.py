"""Nodes of all data-parallel devices, with gradients to the local ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def processes() -> int:
    """Number of data-parallel processes; 1 without `torch.distributed`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_rows(local_KnD: Tensor) -> Tensor:
    """Rows of all processes, in the order of their ranks.

    Every process then computes the same loss over all rows. Trainers average gradients over processes, while the
    gradient of that loss is the *sum* of what reaches each process's rows; so the backward pass multiplies the local
    part by the number of processes. Parameters behind the gathering see all rows everywhere and need no factor.

    Args:
        local_KnD: rows of this process, (K, n, D); n may differ between processes.

    Returns:
        (K, N, D) with N the sum of all n; the input itself when there is one process.
    """
    if processes() == 1:
        return local_KnD
    return _GatherRows.apply(local_KnD)  # type: ignore[no-any-return]


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local_KnD: Tensor) -> Tensor:
        world, rank = dist.get_world_size(), dist.get_rank()
        K, n, D = local_KnD.shape
        counts = [torch.zeros(1, dtype=torch.long, device=local_KnD.device) for _ in range(world)]
        dist.all_gather(counts, torch.tensor([n], device=local_KnD.device))
        sizes = [int(count) for count in counts]
        padded = local_KnD.new_zeros(K, max(sizes), D)
        padded[:, :n] = local_KnD
        parts = [torch.empty_like(padded) for _ in range(world)]
        dist.all_gather(parts, padded.contiguous())
        ctx.begin, ctx.rows, ctx.world = sum(sizes[:rank]), n, world
        return torch.cat([part[:, :size] for part, size in zip(parts, sizes, strict=True)], 1)

    @staticmethod
    def backward(ctx: Any, gradient_KND: Tensor) -> Tensor:
        return gradient_KND[:, ctx.begin : ctx.begin + ctx.rows] * ctx.world


def noise_generator(device: torch.device, *, shared: bool) -> torch.Generator:
    """A generator seeded from torch's global one, so that a resumed run draws the same noise.

    Args:
        device: that the noise lives on.
        shared: give all processes the seed of the first, for noise on nodes that all of them hold.
    """
    seed = torch.randint(2**62, (1,))
    if shared and processes() > 1:
        seed = seed.to(device)
        dist.broadcast(seed, 0)
    return torch.Generator(device).manual_seed(int(seed))
