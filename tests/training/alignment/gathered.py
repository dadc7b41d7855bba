"""Child process of test_distributed: gradients of an aligned batch over several processes, written by the first.

    torchrun ... -m tests.training.alignment.gathered WRAPPER KIND OUT

WRAPPER is ddp or fsdp. Every process has its share of eight records; processes of one world get all of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

CALM = {"node_noise": 0.0, "edge_noise": 0.0, "message_dropout": 0.0, "graph_size": None}


def shard(model: Any) -> Any:
    """FSDP2 over every decoder layer and the alignment head, as accelerate wraps `_no_split_modules`."""
    from torch.distributed.fsdp import fully_shard

    classes = set(model._no_split_modules) | {"LlamaDecoderLayer"}
    for module in model.modules():
        if type(module).__name__ in classes:
            fully_shard(module)
    return fully_shard(model)


def main() -> None:
    from osler.alignment.settings import AlignmentSettings
    from osler.record_files import read_records
    from osler.training import objectives
    from osler.training.alignment.objective import attach_head
    from osler.training.collate import Collator, RecordDataset
    from osler.training.objectives import IGNORE, Step
    from tests import tiny

    wrapper, kind, folder, out = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    settings = AlignmentSettings(**CALM)
    loaded = tiny.model()
    model = loaded.model.train()
    attach_head(model, kind, settings, seed=0)
    # picture tokens of a random encoder are small and nearly equal; norms stay in float32 and would amplify rounding
    model.double()
    with torch.no_grad():
        for parameter in model.model.multi_modal_projector.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    if wrapper == "ddp" and world > 1:
        model = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=False)
    elif wrapper == "fsdp":
        model = shard(model)
    records = list(read_records(folder / "train.jsonl"))
    data = RecordDataset(records, [folder] * len(records))
    collate = Collator(loaded.processor, max_length=512, alignment=settings)
    share = 8 // world
    batch = collate([data[row] for row in range(rank * share, (rank + 1) * share)])
    batch["pixel_values"] = batch["pixel_values"].double()
    tokens = (batch["labels"] != IGNORE).sum()
    if world > 1:
        dist.all_reduce(tokens)
    step = Step(model, batch, tokens=tokens, keep_states=True)
    autoregressive = objectives.autoregressive(step).loss * world  # as the trainer does: gradients are averaged
    aligned = objectives.get(kind, settings)(step)
    (autoregressive + aligned.loss).backward()
    gradients = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            gradient = parameter.grad
            gradients[name.removeprefix("module.")] = (
                gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient
            ).clone()
    if rank == 0:
        torch.save({"gradients": gradients, "loss": float(aligned.loss.detach()), "metrics": aligned.metrics}, out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
