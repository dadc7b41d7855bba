"""Read the `config.json` of a checkpoint in an original layout, key by key, and keep account of the keys."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from osler.errors import ModelError


class OriginalConfig:
    """A flat `config.json`; whatever is never asked for ends up in `unread()`.

    Args:
        folder: checkpoint folder.

    Raises:
        ModelError: no `config.json`, or not a JSON object.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.json"
        if not folder.is_dir():
            raise ModelError(f"{folder}: no such folder; give the folder that holds config.json")
        if not self.path.is_file():
            raise ModelError(f"{folder}: no config.json; give the folder of a downloaded checkpoint")
        try:
            self.values: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(f"{self.path}: not valid JSON ({error}); download it again") from error
        if not isinstance(self.values, dict):
            raise ModelError(f"{self.path}: expected a JSON object, got {type(self.values).__name__}")
        self._read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or the default where the key is absent or null."""
        self._read.add(key)
        value = self.values.get(key)
        return default if value is None else value

    def need(self, key: str, kind: type) -> Any:
        """Return a value that must be there.

        Raises:
            ModelError: absent or of another type.
        """
        value = self.get(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ModelError(f"{self.path}: {key}: expected {kind.__name__}, got {value!r}; is the file complete?")
        return value

    def expect(self, key: str, allowed: Collection[Any], *, why: str) -> Any:
        """Return a value (None where absent) that must be one of `allowed`.

        Raises:
            ModelError: another value, which this import would get wrong.
        """
        value = self.get(key)
        if value not in allowed:
            options = ", ".join(repr(option) for option in allowed)
            raise ModelError(f"{self.path}: {key} = {value!r} cannot be imported ({why}); expected one of {options}")
        return value

    def unread(self) -> dict[str, Any]:
        """Return the keys that had no effect on the import."""
        return {key: value for key, value in self.values.items() if key not in self._read}

    def text_fields(self) -> dict[str, Any]:
        """Return the decoder's fields under transformers' present names, without rope, vocabulary and token ids.

        Raises:
            ModelError: a field is missing, or the checkpoint is quantised or has scaled positions or tied embeddings.
        """
        for key in ("rope_scaling", "quantization_config"):
            self.expect(key, (None,), why="the weights would mean something else")
        self.expect("tie_word_embeddings", (False, None), why="the published models have a head of their own")
        heads = self.need("num_attention_heads", int)
        positions = self.get("max_position_embeddings", self.get("max_sequence_length"))
        if not isinstance(positions, int):
            raise ModelError(f"{self.path}: max_position_embeddings: expected int, got {positions!r}")
        return {
            "hidden_size": self.need("hidden_size", int),
            "intermediate_size": self.need("intermediate_size", int),
            "num_hidden_layers": self.need("num_hidden_layers", int),
            "num_attention_heads": heads,
            "num_key_value_heads": self.get("num_key_value_heads", heads),
            "hidden_act": self.need("hidden_act", str),
            "rms_norm_eps": self.need("rms_norm_eps", float),
            "initializer_range": self.get("initializer_range", 0.02),
            "max_position_embeddings": positions,
            "tie_word_embeddings": False,
        }
