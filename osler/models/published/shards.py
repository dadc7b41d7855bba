"""Write weights shard by shard, so that one shard, not the model, is what memory holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

DEFAULT_SHARD_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class WrittenShards:
    """Totals of what a `ShardWriter` wrote.

    Args:
        files: number of weight files.
        tensors: number of tensors.
        parameters: number of elements.
        size_bytes: bytes of tensor data.
    """

    files: int
    tensors: int
    parameters: int
    size_bytes: int


class ShardWriter:
    """Collect tensors and write a safetensors file whenever `max_bytes` would be passed.

    Args:
        folder: existing folder to write into.
        max_bytes: size of one shard; a tensor larger than that gets a file of its own.
    """

    def __init__(self, folder: Path, *, max_bytes: int = DEFAULT_SHARD_BYTES) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._pending: dict[str, torch.Tensor] = {}
        self._pending_bytes = self._total_bytes = self._parameters = 0
        self._shards: list[list[str]] = []

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Take one tensor; may write a shard."""
        assert not any(name in names for names in (self._pending, *self._shards)), name
        size = tensor.numel() * tensor.element_size()
        if self._pending and self._pending_bytes + size > self.max_bytes:
            self._flush()
        # a copy: a mapped or shared tensor must not drag its file or its neighbours along
        self._pending[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
        self._pending_bytes += size
        self._total_bytes += size
        self._parameters += tensor.numel()

    def _flush(self) -> None:
        save_file(self._pending, self._temporary(len(self._shards)), metadata={"format": "pt"})
        self._shards.append(list(self._pending))
        self._pending, self._pending_bytes = {}, 0

    def _temporary(self, number: int) -> Path:
        return self.folder / f"shard-{number}.safetensors"

    def close(self) -> WrittenShards:
        """Write the rest, give the files their final names and write the index.

        Returns:
            Totals.
        """
        if self._pending:
            self._flush()
        count = len(self._shards)
        weight_map: dict[str, str] = {}
        for number, keys in enumerate(self._shards):
            name = "model.safetensors" if count == 1 else f"model-{number + 1:05d}-of-{count:05d}.safetensors"
            self._temporary(number).rename(self.folder / name)
            weight_map |= dict.fromkeys(keys, name)
        if count > 1:
            index = {"metadata": {"total_size": self._total_bytes}, "weight_map": weight_map}
            (self.folder / "model.safetensors.index.json").write_text(
                json.dumps(index, indent=2, sort_keys=True) + "\n"
            )
        return WrittenShards(count, len(weight_map), self._parameters, self._total_bytes)
