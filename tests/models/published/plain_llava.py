"""LLaVA in torch functions only: the reference for imported checkpoints. Uses the checkpoints' original key names.

Nothing here comes from Osler or from transformers' model classes. Weights are a dict, numbers are float64.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def clip_hidden_states(w: dict, prefix: str, pixels: torch.Tensor, *, heads: int) -> list[torch.Tensor]:
    """All hidden states of a CLIP ViT, embedding output first. `pixels` is (1, 3, side, side)."""
    g = lambda name: w[prefix + name]  # noqa: E731
    patch = g("embeddings.patch_embedding.weight")
    x = F.conv2d(pixels, patch, stride=patch.shape[-1]).flatten(2).transpose(1, 2)
    x = torch.cat([g("embeddings.class_embedding").expand(1, 1, -1), x], dim=1)
    x = x + g("embeddings.position_embedding.weight")
    norm = lambda x, name: F.layer_norm(x, x.shape[-1:], g(name + ".weight"), g(name + ".bias"), 1e-5)  # noqa: E731
    x = norm(x, "pre_layrnorm")
    states, i = [x], 0
    while prefix + f"encoder.layers.{i}.layer_norm1.weight" in w:
        at = f"encoder.layers.{i}."
        lin = lambda x, name, at=at: F.linear(x, g(at + name + ".weight"), g(at + name + ".bias"))  # noqa: E731
        h = norm(x, at + "layer_norm1")
        split = lambda t: t.unflatten(-1, (heads, -1)).transpose(1, 2)  # noqa: E731
        q, k, v = (split(lin(h, f"self_attn.{n}_proj")) for n in "qkv")
        a = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1) @ v
        x = x + lin(a.transpose(1, 2).flatten(2), "self_attn.out_proj")
        h = lin(norm(x, at + "layer_norm2"), "mlp.fc1")
        x = x + lin(h * torch.sigmoid(1.702 * h), "mlp.fc2")
        states.append(x)
        i += 1
    return states


def decoder_logits(
    w: dict, embedded: torch.Tensor, *, heads: int, kv_heads: int, theta: float, eps: float
) -> torch.Tensor:
    """Logits (tokens, vocabulary) of a LLaMA/Mistral decoder for embedded tokens (tokens, width)."""
    x, n = embedded, embedded.shape[0]
    rms = lambda x, name: x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * w[name]  # noqa: E731
    width = w["model.layers.0.self_attn.q_proj.weight"].shape[0] // heads
    frequency = theta ** (-torch.arange(0, width, 2, dtype=x.dtype) / width)
    angle = torch.arange(n, dtype=x.dtype)[:, None] * frequency
    cos, sin = torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)
    causal = torch.full((n, n), float("-inf"), dtype=x.dtype).triu(1)

    def rotate(t: torch.Tensor) -> torch.Tensor:
        first, second = t.chunk(2, dim=-1)
        return t * cos + torch.cat([-second, first], -1) * sin

    i = 0
    while f"model.layers.{i}.input_layernorm.weight" in w:
        at = f"model.layers.{i}."
        h = rms(x, at + "input_layernorm.weight")
        split = lambda t, k: t.unflatten(-1, (k, -1)).transpose(0, 1)  # noqa: E731
        q = rotate(split(F.linear(h, w[at + "self_attn.q_proj.weight"]), heads))
        k = rotate(split(F.linear(h, w[at + "self_attn.k_proj.weight"]), kv_heads))
        v = split(F.linear(h, w[at + "self_attn.v_proj.weight"]), kv_heads)
        k, v = (t.repeat_interleave(heads // kv_heads, dim=0) for t in (k, v))
        a = torch.softmax(q @ k.transpose(-1, -2) / width**0.5 + causal, dim=-1) @ v
        x = x + F.linear(a.transpose(0, 1).flatten(1), w[at + "self_attn.o_proj.weight"])
        h = rms(x, at + "post_attention_layernorm.weight")
        gate, up = (F.linear(h, w[at + f"mlp.{name}_proj.weight"]) for name in ("gate", "up"))
        x = x + F.linear(F.silu(gate) * up, w[at + "mlp.down_proj.weight"])
        i += 1
    return F.linear(rms(x, "model.norm.weight"), w["lm_head.weight"])


def llava_logits(
    w: dict,
    ids: list[int | str],
    pixels: torch.Tensor | None,
    *,
    vision_prefix: str,
    vision_heads: int,
    heads: int,
    kv_heads: int,
    theta: float,
    eps: float,
) -> torch.Tensor:
    """Logits for ids in which the item "image" stands for all patches of the image."""
    w = {name: tensor.double() for name, tensor in w.items()}
    parts = []
    for item in ids:
        if item == "image":
            states = clip_hidden_states(w, vision_prefix, pixels.double(), heads=vision_heads)
            h = states[-2][0, 1:]
            if "model.mm_projector.0.weight" in w:
                h = F.gelu(F.linear(h, w["model.mm_projector.0.weight"], w["model.mm_projector.0.bias"]))
                h = F.linear(h, w["model.mm_projector.2.weight"], w["model.mm_projector.2.bias"])
            else:
                h = F.linear(h, w["model.mm_projector.weight"], w["model.mm_projector.bias"])
            parts.append(h)
        else:
            parts.append(w["model.embed_tokens.weight"][item][None])
    return decoder_logits(w, torch.cat(parts), heads=heads, kv_heads=kv_heads, theta=theta, eps=eps)
