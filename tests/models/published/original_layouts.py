"""Small checkpoints in the layouts of their authors. Key names are spelt out here, not derived from Osler's mapping."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tiny_tokenizer import train_pieces, write_tokenizer_model

PIECES = train_pieces()
WIDTH, HEADS, LAYERS, MLP = 64, 4, 2, 96
VISION_WIDTH, VISION_HEADS, VISION_LAYERS, VISION_MLP, PATCH, GRID = 128, 2, 3, 96, 14, 3
SIDE = PATCH * GRID
V15_VISION = "model.vision_tower.vision_tower.vision_model."

CLIP_KEYS = {
    "embeddings.class_embedding": (VISION_WIDTH,),
    "embeddings.patch_embedding.weight": (VISION_WIDTH, 3, PATCH, PATCH),
    "embeddings.position_embedding.weight": (GRID * GRID + 1, VISION_WIDTH),
    "pre_layrnorm.weight": (VISION_WIDTH,),
    "pre_layrnorm.bias": (VISION_WIDTH,),
    "post_layernorm.weight": (VISION_WIDTH,),
    "post_layernorm.bias": (VISION_WIDTH,),
}
CLIP_LAYER_KEYS = {
    "self_attn.k_proj.weight": (VISION_WIDTH, VISION_WIDTH),
    "self_attn.k_proj.bias": (VISION_WIDTH,),
    "self_attn.v_proj.weight": (VISION_WIDTH, VISION_WIDTH),
    "self_attn.v_proj.bias": (VISION_WIDTH,),
    "self_attn.q_proj.weight": (VISION_WIDTH, VISION_WIDTH),
    "self_attn.q_proj.bias": (VISION_WIDTH,),
    "self_attn.out_proj.weight": (VISION_WIDTH, VISION_WIDTH),
    "self_attn.out_proj.bias": (VISION_WIDTH,),
    "layer_norm1.weight": (VISION_WIDTH,),
    "layer_norm1.bias": (VISION_WIDTH,),
    "mlp.fc1.weight": (VISION_MLP, VISION_WIDTH),
    "mlp.fc1.bias": (VISION_MLP,),
    "mlp.fc2.weight": (VISION_WIDTH, VISION_MLP),
    "mlp.fc2.bias": (VISION_WIDTH,),
    "layer_norm2.weight": (VISION_WIDTH,),
    "layer_norm2.bias": (VISION_WIDTH,),
}


def text_keys(rows: int, kv_heads: int) -> dict[str, tuple[int, ...]]:
    kv = WIDTH // HEADS * kv_heads
    keys: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (rows, WIDTH)}
    for i in range(LAYERS):
        keys[f"model.layers.{i}.self_attn.q_proj.weight"] = (WIDTH, WIDTH)
        keys[f"model.layers.{i}.self_attn.k_proj.weight"] = (kv, WIDTH)
        keys[f"model.layers.{i}.self_attn.v_proj.weight"] = (kv, WIDTH)
        keys[f"model.layers.{i}.self_attn.o_proj.weight"] = (WIDTH, WIDTH)
        keys[f"model.layers.{i}.mlp.gate_proj.weight"] = (MLP, WIDTH)
        keys[f"model.layers.{i}.mlp.up_proj.weight"] = (MLP, WIDTH)
        keys[f"model.layers.{i}.mlp.down_proj.weight"] = (WIDTH, MLP)
        keys[f"model.layers.{i}.input_layernorm.weight"] = (WIDTH,)
        keys[f"model.layers.{i}.post_attention_layernorm.weight"] = (WIDTH,)
    keys["model.norm.weight"] = (WIDTH,)
    keys["lm_head.weight"] = (rows, WIDTH)
    return keys


def clip_keys(prefix: str) -> dict[str, tuple[int, ...]]:
    keys = {prefix + name: shape for name, shape in CLIP_KEYS.items()}
    for i in range(VISION_LAYERS):
        keys |= {f"{prefix}encoder.layers.{i}.{name}": shape for name, shape in CLIP_LAYER_KEYS.items()}
    return keys


def random_weights(keys: dict[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Weights of a size that makes every tensor matter for the logits."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in keys.items():
        noise = torch.randn(shape, generator=generator)
        if "norm" in name and name.endswith("weight"):
            weights[name] = 1 + 0.2 * noise
        else:
            weights[name] = noise * (1.2 / shape[-1] ** 0.5 if len(shape) > 1 else 0.2)
    return weights


V15_CONFIG = {
    "architectures": ["LlavaMistralForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "freeze_mm_mlp_adapter": False,
    "hidden_act": "silu",
    "hidden_size": WIDTH,
    "image_aspect_ratio": "pad",
    "initializer_range": 0.02,
    "intermediate_size": MLP,
    "max_position_embeddings": 32768,
    "mm_hidden_size": VISION_WIDTH,
    "mm_projector_type": "mlp2x_gelu",
    "mm_use_im_patch_token": False,
    "mm_use_im_start_end": False,
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "model_type": "llava_mistral",
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000000.0,
    "segtok_posembed": "sincos",
    "sliding_window": None,
    "tie_word_embeddings": False,
    "tokenizer_model_max_length": 2048,
    "torch_dtype": "bfloat16",
    "tune_vision_tokenizer": "none",
    "use_cache": True,
    "use_mm_proj": True,
    "vision_backbone": "convnextlarge",
    "vocab_size": len(PIECES),
}


def v15_weights() -> dict[str, torch.Tensor]:
    projector = {
        "model.mm_projector.0.weight": (WIDTH, VISION_WIDTH),
        "model.mm_projector.0.bias": (WIDTH,),
        "model.mm_projector.2.weight": (WIDTH, WIDTH),
        "model.mm_projector.2.bias": (WIDTH,),
    }
    return random_weights(text_keys(len(PIECES), 2) | projector | clip_keys(V15_VISION), seed=15)


def write_shards(folder: Path, weights: dict[str, torch.Tensor], *, form: str, shards: int = 3) -> None:
    """Write weights as `safetensors`, `bin` or `old_bin` (the pre-zip pickle format), with an index if sharded."""
    folder.mkdir(parents=True, exist_ok=True)
    stem, suffix = ("model", "safetensors") if form == "safetensors" else ("pytorch_model", "bin")
    names, weight_map = sorted(weights), {}
    for i in range(shards):
        part = {name: weights[name] for name in names[i::shards]}
        file = f"{stem}.{suffix}" if shards == 1 else f"{stem}-{i + 1:05d}-of-{shards:05d}.{suffix}"
        weight_map |= dict.fromkeys(part, file)
        if form == "safetensors":
            save_file(part, folder / file, metadata={"format": "pt"})
        else:
            torch.save(part, folder / file, _use_new_zipfile_serialization=form == "bin")
    if shards > 1:
        index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))


def write_v15(folder: Path, weights: dict[str, torch.Tensor], *, form: str = "safetensors", **changes: object) -> Path:
    write_shards(folder, weights, form=form)
    (folder / "config.json").write_text(json.dumps(V15_CONFIG | changes))
    write_tokenizer_model(folder / "tokenizer.model", PIECES)
    return folder


def write_clip(folder: Path, vision: dict[str, torch.Tensor]) -> Path:
    """The whole CLIP in Hugging Face layout; `vision` has bare names ("embeddings.class_embedding")."""
    weights = {f"vision_model.{name}": tensor for name, tensor in vision.items()}
    weights["vision_model.embeddings.position_ids"] = torch.arange(GRID * GRID + 1)[None]
    weights |= {"logit_scale": torch.tensor(4.6), "text_model.final_layer_norm.bias": torch.zeros(8)}
    weights |= {"text_projection.weight": torch.zeros(8, 8), "visual_projection.weight": torch.zeros(8, VISION_WIDTH)}
    write_shards(folder, weights, form="safetensors", shards=1)
    config = {
        "model_type": "clip",
        "projection_dim": 8,
        "text_config": {"model_type": "clip_text_model", "hidden_size": 8, "num_attention_heads": 2},
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": VISION_WIDTH,
            "intermediate_size": VISION_MLP,
            "num_hidden_layers": VISION_LAYERS,
            "num_attention_heads": VISION_HEADS,
            "patch_size": PATCH,
            "image_size": SIDE,
            "hidden_act": "quick_gelu",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


V10_ROWS = len(PIECES) + 4
V10_CONFIG = {
    "architectures": ["LlavaLlamaForCausalLM"],
    "bos_token_id": 0,
    "eos_token_id": 1,
    "freeze_mm_mlp_adapter": False,
    "hidden_act": "silu",
    "hidden_size": WIDTH,
    "image_aspect_ratio": "square",
    "initializer_range": 0.02,
    "intermediate_size": MLP,
    "max_sequence_length": 2048,
    "mm_hidden_size": VISION_WIDTH,
    "mm_use_im_start_end": True,
    "mm_vision_select_layer": -2,
    "mm_vision_tower": "openai/clip-vit-large-patch14",
    "model_type": "llava",
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "pad_token_id": -1,
    "rms_norm_eps": 1e-6,
    "sep_image_conv_front": False,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "use_cache": True,
    "use_mm_proj": True,
    "vocab_size": V10_ROWS,
}
LLAMA_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": WIDTH,
    "vocab_size": len(PIECES),
}


def rotary(theta: float = 10000.0) -> dict[str, torch.Tensor]:
    table = 1.0 / theta ** (torch.arange(0, WIDTH // HEADS, 2).float() / (WIDTH // HEADS))
    return {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": table.clone() for i in range(LAYERS)}


class V10Parts:
    """A whole v1.0 model, and the base, delta and encoder that it splits into."""

    def __init__(self) -> None:
        projector = {"model.mm_projector.weight": (WIDTH, VISION_WIDTH), "model.mm_projector.bias": (WIDTH,)}
        self.text = random_weights(text_keys(V10_ROWS, HEADS), seed=10)
        self.projector = random_weights(projector, seed=11)
        self.clip = random_weights(clip_keys(""), seed=12)
        change = random_weights(text_keys(V10_ROWS, HEADS), seed=13)
        self.delta: dict[str, torch.Tensor] = {}
        self.base: dict[str, torch.Tensor] = {}
        for name, whole in self.text.items():
            delta = 0.01 * change[name]
            if name in ("model.embed_tokens.weight", "lm_head.weight"):
                delta[-4:] = whole[-4:]  # rows that the base does not have
                self.base[name] = (whole - delta)[:-4].contiguous()
            else:
                if "norm" in name:
                    delta = delta - 0.01  # the gains' noise only
                self.base[name] = whole - delta
            self.delta[name] = delta
        self.delta |= self.projector

    @property
    def whole(self) -> dict[str, torch.Tensor]:
        return self.text | self.projector | {f"clip.{name}": tensor for name, tensor in self.clip.items()}

    def write(self, folder: Path, *, form: str = "safetensors") -> tuple[Path, Path, Path]:
        """Write delta, base and encoder folders."""
        delta, base = folder / "delta", folder / "base"
        zeros = {name: torch.zeros_like(table) for name, table in rotary().items()}
        write_shards(delta, self.delta | zeros, form=form)
        write_shards(base, self.base | rotary(), form="bin" if form == "safetensors" else "safetensors", shards=2)
        (delta / "config.json").write_text(json.dumps(V10_CONFIG))
        (base / "config.json").write_text(json.dumps(LLAMA_CONFIG))
        write_tokenizer_model(delta / "tokenizer.model", PIECES)
        n = len(PIECES)
        added = {"<im_end>": n + 3, "<im_patch>": n + 1, "<im_start>": n + 2, "[PAD]": n}
        (delta / "added_tokens.json").write_text(json.dumps(added))
        return delta, base, write_clip(folder / "clip", self.clip)
