"""Hashes and versions that say what a score was measured on and with."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from osler.errors import EvaluationError, ModelError
from osler.records import Record

_PACKAGES = ("osler", "torch", "transformers", "numpy", "pillow")


def hash_file(path: str | Path) -> str:
    """sha256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """sha256 of a JSON value in one canonical spelling."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def hash_folder(folder: str | Path) -> str:
    """sha256 over names and contents of a model folder's files that can change an answer.

    Training leftovers beside the model (checkpoints in sub-folders, optimiser states, logs, pictures) do not count.

    Raises:
        ModelError: when the folder is absent or has none.
    """
    suffixes = {".json", ".jinja", ".safetensors", ".model", ".txt"}
    folder = Path(folder)
    files = sorted(path for path in folder.glob("*") if path.is_file() and path.suffix in suffixes)
    if not files:
        raise ModelError(f"{folder}: no model folder: it holds no configuration and no weights")
    return hash_json([[path.name, hash_file(path)] for path in files])


def hash_model(model: Any, processor: Any) -> str:
    """sha256 over class, weights and chat template of a model that lies in memory."""
    import torch

    digest = hashlib.sha256(type(model).__name__.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    digest.update(str(getattr(processor, "chat_template", "")).encode())
    digest.update(json.dumps(processor.tokenizer.get_vocab(), sort_keys=True).encode())
    return digest.hexdigest()


def hash_data(records: Sequence[Record], image_folder: str | Path) -> str:
    """sha256 over the records and the bytes of all images they name.

    Raises:
        EvaluationError: when an image is absent; names the record.
    """
    from osler.record_images import resolve_image

    hashes: dict[str, str] = {}
    for record in records:
        for image in record.images:
            if image.path not in hashes:
                path = resolve_image(image_folder, image)
                if not path.is_file():
                    raise EvaluationError(f"record {record.id}: image {path} is absent")
                hashes[image.path] = hash_file(path)
    return hash_json([[record.model_dump(mode="json") for record in records], hashes])


def versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Versions of Python and of the packages that can change a score."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            if package == "osler":
                import osler

                found[package] = osler.__version__
    return found
