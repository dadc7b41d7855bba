"""The model that all runs of a seed start from: the taught encoder, a small random Llama and a new projector."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from osler.study.abnormal_aware import vision as encoder
from osler.study.abnormal_aware.grid import Data

WIDTH, LAYERS, HEADS = 160, 3, 4
INITIAL_DEVIATION = 0.05
MAX_POSITIONS = 512


def settings(data: Data) -> dict[str, Any]:
    """Everything that decides what the starting models are like, but the seed."""
    names = ("WIDTH", "LAYERS", "HEADS", "INITIAL_DEVIATION")
    return {"language": {name: globals()[name] for name in names}, "vision": encoder.settings(data)}


def base_folder(work: Path, data: Data, seed: int) -> Path:
    """Where the model of a seed is; models of other settings have other names."""
    return work / f"base-{data}-{_digest(settings(data))}-s{seed}"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def build_base(folder: Path, data: Data, source: tuple[Path, Path], *, seed: int) -> Path:
    """Write the model; a folder that is there already is left as it is.

    The vocabulary is that of the template's sentences, the classes of both data sets and the numbers 0 to 100.

    Args:
        folder: from `base_folder`; the encoder, the same for all seeds, goes beside it.
        data: which pictures the encoder is for.
        source: record folder and image folder of the data set.
        seed: of the language model and projector.
    """
    if (folder / "config.json").is_file():
        return folder
    import torch
    from torch import nn
    from transformers import LlamaConfig, LlamaForCausalLM

    from osler.models import build
    from osler.study.small_model import word_tokenizer

    vision_file = folder.with_name(f"vision-{data}-{_digest(encoder.settings(data))}.safetensors")
    weights = encoder.encoder_weights(vision_file, data, source)
    tokenizer = word_tokenizer(_texts())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        language = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=WIDTH,
                intermediate_size=WIDTH * 8 // 3,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                num_key_value_heads=HEADS,
                max_position_embeddings=MAX_POSITIONS,
                initializer_range=INITIAL_DEVIATION,
                tie_word_embeddings=True,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        vision = encoder.make_encoder()
        vision.load_state_dict(weights)
        loaded = build(vision, language, tokenizer=tokenizer, seed=seed)
        for module in loaded.model.model.multi_modal_projector.modules():
            if isinstance(module, nn.Linear):  # by fan-in: the library's deviation is for wider models
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        loaded.save(partial)
        os.rename(partial, folder)
    except OSError:
        if not (folder / "config.json").is_file():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _texts() -> list[str]:
    from osler.instruct import wording
    from osler.sources.phantom_scene import KINDS

    numbers = [f"<{number}>" for number in range(101)]
    places = ["{<1><2><3><4>}"] * 3
    answers = [wording.response(places[:count], (*KINDS, "WBC")[:count]) for count in range(4)]
    names = [wording.naming(name) for name in (*KINDS, "WBC")]
    return [wording.QUESTION, *wording.PARAPHRASES, *numbers, *answers, *names]
