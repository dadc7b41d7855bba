"""The language-model tensors that both published generations share."""

from __future__ import annotations

import re

import torch

from osler.errors import ModelError

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
_ROTARY = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq")
ROTARY_TOLERANCE = 2**-7  # half of it is the largest relative rounding error of bfloat16
ROTARY_REASON = "rotary frequencies, checked against rope_theta and recomputed"


def text_target(key: str) -> str:
    """Return the parameter name for a language-model key of the original layout."""
    return "model.language_model." + key.removeprefix("model.") if key.startswith("model.") else key


def is_rotary(key: str) -> bool:
    """Whether the key is a rotary frequency table, which old files store and models recompute."""
    return _ROTARY.fullmatch(key) is not None


def check_rotary(stored: torch.Tensor, *, theta: float, label: str) -> None:
    """Check a stored frequency table against theta^(−2i/d), within the rounding of half precision.

    Raises:
        ModelError: another table, so the recomputed one would change the model.
    """
    width = stored.numel()
    expected = theta ** (-torch.arange(width, dtype=torch.float64) / width)
    worst = float(((stored.double() - expected) / expected).abs().max())
    if worst > ROTARY_TOLERANCE:
        raise ModelError(
            f"{label}: rotary frequencies differ from rope_theta {theta:g} by a factor of up to {1 + worst:.3g}; "
            "config.json and weights do not belong together"
        )


def grow_rows(matrix: torch.Tensor, rows: int) -> torch.Tensor:
    """Append rows that equal the mean of the present ones.

    For the head this makes every new logit the mean of the old logits, which is never above the largest: greedy
    decoding cannot choose a new row (up to rounding), and n new rows next to V old ones take at most n / (V + n) of
    the probability (Jensen).

    Args:
        matrix: (V, width).
        rows: rows of the result, at least V.

    Returns:
        (rows, width); the first V rows are unchanged.
    """
    extra = rows - matrix.shape[0]
    if extra == 0:
        return matrix
    mean = matrix.mean(dim=0, keepdim=True, dtype=torch.float32).to(matrix.dtype)
    return torch.cat([matrix, mean.expand(extra, -1)])
