"""Read the tensors of a checkpoint folder one at a time: safetensors or torch pickles, sharded or not.

A torch pickle is read with `weights_only=True`: a file that holds anything but tensors is refused, and no code in it
runs. Files are memory-mapped, so a 15 GB checkpoint is never in memory as a whole.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from osler.errors import ModelError

_LAYOUTS = (
    ("model.safetensors.index.json", True),
    ("model.safetensors", False),
    ("pytorch_model.bin.index.json", True),
    ("pytorch_model.bin", False),
)


class WeightFiles:
    """The tensors of one checkpoint folder, by key.

    Args:
        folder: checkpoint folder.
        role: what the folder is to the caller ("checkpoint", "delta", ...), named in errors and reports.

    Raises:
        ModelError: no weights, a missing, truncated or unsafe file, or an index that does not fit its files.
    """

    def __init__(self, folder: Path, *, role: str) -> None:
        self.folder, self.role = folder, role
        self._open: dict[Path, Any] = {}
        self._file_of: dict[str, Path] = {}
        name, indexed = next(((n, i) for n, i in _LAYOUTS if (folder / n).is_file()), (None, False))
        if name is None:
            expected = ", ".join(n for n, _ in _LAYOUTS)
            raise ModelError(f"{folder}: no weights found; expected one of {expected}. Is the download complete?")
        if indexed:
            self._read_index(folder / name)
        else:
            self._file_of = dict.fromkeys(self._keys_in(folder / name), folder / name)

    def _read_index(self, index: Path) -> None:
        try:
            weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            self._file_of = {key: self.folder / str(name) for key, name in weight_map.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{index}: not a weight index (needs an object 'weight_map'): {error}") from error
        files = dict.fromkeys(self._file_of.values())
        for file in files:
            if file.parent.resolve() != self.folder.resolve():
                raise ModelError(f"{index}: names {file.name!r} outside the checkpoint folder; refused")
            if not file.is_file():
                raise ModelError(f"{index}: shard {file.name} is missing from {self.folder}; download it again")
        for file in files:
            found, listed = set(self._keys_in(file)), {key for key, path in self._file_of.items() if path == file}
            if found != listed:
                odd = ", ".join(sorted(found ^ listed)[:3])
                raise ModelError(f"{file}: holds other tensors than {index.name} says ({odd}, ...); download it again")

    def _handle(self, file: Path) -> Any:
        if file not in self._open:
            if file.suffix == ".safetensors":
                self._open[file] = _open_safetensors(file)
            else:
                handle = _open_pickle(file)
                if not zipfile.is_zipfile(file):  # the old format cannot be mapped: keep one such file at a time
                    self._open = {path: h for path, h in self._open.items() if zipfile.is_zipfile(path)}
                self._open[file] = handle
        return self._open[file]

    def _keys_in(self, file: Path) -> list[str]:
        return list(self._handle(file).keys())

    def __iter__(self) -> Iterator[str]:
        """Keys in the order of their files, so that reading in this order opens each file once."""
        order = {file: i for i, file in enumerate(dict.fromkeys(self._file_of.values()))}
        return iter(sorted(self._file_of, key=lambda key: order[self._file_of[key]]))

    def __contains__(self, key: str) -> bool:
        return key in self._file_of

    def __len__(self) -> int:
        return len(self._file_of)

    def label(self, key: str) -> str:
        """Name of a tensor for reports: "role:key"."""
        return f"{self.role}:{key}"

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading its values.

        Raises:
            ModelError: the key is absent.
        """
        file = self._require(key)
        handle = self._handle(file)
        if file.suffix == ".safetensors":
            return tuple(handle.get_slice(key).get_shape())
        return tuple(handle[key].shape)

    def tensor(self, key: str) -> torch.Tensor:
        """Read one tensor.

        Raises:
            ModelError: the key is absent.
        """
        file = self._require(key)
        handle = self._handle(file)
        return handle.get_tensor(key) if file.suffix == ".safetensors" else handle[key]

    def _require(self, key: str) -> Path:
        if key not in self._file_of:
            raise ModelError(f"{self.folder}: the {self.role} has no tensor {key!r}; is it the folder you meant?")
        return self._file_of[key]


def _open_safetensors(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file}: truncated or not a safetensors file ({error}); download it again") from error


def _open_pickle(file: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{file}: refused, this pickle holds more than tensors and would run code when loaded; "
            "ask for a safetensors file instead"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(f"{file}: truncated or not a torch weight file ({error}); download it again") from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelError(f"{file}: refused, expected a flat dictionary of tensors")
    return content
