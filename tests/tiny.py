"""Tiny random parts and record sets for tests of models and training: no hub, no download, milliseconds to build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from osler.record_files import write_records
from osler.records import ImageRef, Record, Turn


def tokenizer() -> Any:
    """Byte-level BPE with ChatML marks: takes any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(["yes no red green blue what colour is this image user assistant"] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )


def language(*, seed: int = 0, tied: bool = True) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer()),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


def vision(kind: str = "grid", *, seed: int = 0) -> Any:
    """A tiny encoder: grid, clip, siglip, dinov2 or vit; 16 patches each but the grid encoder (4)."""
    import torch
    import transformers as t

    torch.manual_seed(seed)
    size: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    if kind == "grid":
        from osler.models.grid_encoder import GridEncoder, GridEncoderConfig

        stages = ((1, 3, 1, 1, 8), (1, 3, 2, 2, 8), (2, 3, 2, 2, 12), (1, 5, 2, 2, 12))
        return GridEncoder(
            GridEncoderConfig(stages=stages, stem_channels=8, hidden_size=16, image_size=32, patch_size=16)
        ).eval()
    if kind == "clip":
        return t.CLIPVisionModel(t.CLIPVisionConfig(**size, intermediate_size=32)).eval()
    if kind == "siglip":
        return t.SiglipVisionModel(t.SiglipVisionConfig(**size, intermediate_size=32)).eval()
    if kind == "dinov2":
        return t.Dinov2Model(t.Dinov2Config(**size)).eval()
    return t.ViTModel(t.ViTConfig(**size, intermediate_size=32), add_pooling_layer=False).eval()


def model(kind: str = "grid", *, projector: Any = "mlp", seed: int = 0, tied: bool = True) -> Any:
    from osler.models import build

    return build(
        vision(kind, seed=seed), language(seed=seed, tied=tied), tokenizer=tokenizer(), projector=projector, seed=seed
    )


COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220)}


def colour_records(folder: Path, count: int, *, start: int = 0, name: str = "train.jsonl") -> Path:
    """Uniform pictures and the question for their colour: learnable by looking, not by guessing."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(start, start + count):
        colour = list(COLOURS)[number % len(COLOURS)]
        path = f"images/{number}.png"
        Image.new("RGB", (40, 30), COLOURS[colour]).save(folder / path)
        records.append(
            Record(
                id=f"colour-{number}",
                images=(ImageRef(path=path),),
                turns=(
                    Turn(role="user", text="<image>\nWhat colour is this?" + " Say it." * (number % 3)),
                    Turn(role="assistant", text=colour),
                ),
            )
        )
    path = folder / name
    write_records(records, path)
    return path
