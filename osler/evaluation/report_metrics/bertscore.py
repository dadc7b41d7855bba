"""BERTScore (Zhang et al., ICLR 2020, arXiv 1904.09675, equations 1-3) with an encoder from a local folder.

Nothing is fetched: the folder is named by `OSLER_BERTSCORE_MODEL`, weights must be safetensors, and no code of the
folder is run. A score depends on encoder and layer; both are part of the protocol's version.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from osler.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "OSLER_BERTSCORE_MODEL"
LAYER = "OSLER_BERTSCORE_LAYER"
_BATCH = 16
_CHARACTERS = 20_000
"""More are not looked at: encoders read 512 tokens, and tokenizers take long for megabytes."""


class BertScore(NamedTuple):
    """Precision, recall and F1: mean cosines, at most 1."""

    precision: float
    recall: float
    f1: float


def missing() -> str | None:
    """What is lacking for an encoder, or None."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return f"no encoder: set {FOLDER} to a local folder with config.json, tokenizer and model.safetensors"
    if not (Path(folder) / "config.json").is_file():
        return f"{folder} ({FOLDER}) holds no config.json"
    return None


def layer() -> int | None:
    """Hidden layer to use (0 is the embedding), None for the last."""
    value = os.environ.get(LAYER)
    if not value:
        return None
    try:
        return int(value)
    except ValueError:
        raise ModelError(f"{LAYER}={value!r} is no number of a layer") from None


class Encoder:
    """Contextual vectors of the tokens of a text.

    Args:
        folder: that transformers' `AutoModel` and `AutoTokenizer` load.
        layer: hidden layer, None for the last.

    Raises:
        ModelError: when it cannot be loaded.
    """

    def __init__(self, folder: str | Path, layer: int | None = None) -> None:
        from transformers import AutoModel, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model, loaded = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(f"{folder}: cannot be loaded as an encoder ({str(error).strip()[:300]})") from error
        # a pooler stands above the layers that are used
        absent = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))
        if absent:
            raise ModelError(
                f"{folder}: its weights lack {len(absent)} tensors, {absent[0]} for one; that is no encoder"
            )
        self._model = model.eval()
        self._layer = -1 if layer is None else layer
        positions = int(getattr(self._model.config, "max_position_embeddings", 512) or 512)
        # RoBERTa counts positions from 2
        self._longest = max(8, min(512, positions, int(self._tokenizer.model_max_length)) - 2)

    def encode(self, texts: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        """Unit vectors of shape (tokens, width), and which of them are of words and not special."""
        import torch

        for start in range(0, len(texts), _BATCH):
            # half of a surrogate pair, which tokenizers refuse, becomes a question mark
            part = [t[:_CHARACTERS].encode("utf-8", "replace").decode() for t in texts[start : start + _BATCH]]
            batch = self._tokenizer(
                part,
                padding=True,
                truncation=True,
                max_length=self._longest,
                return_special_tokens_mask=True,
                return_tensors="pt",
            )
            special = batch.pop("special_tokens_mask")
            with torch.inference_mode():
                states = self._model(**batch, output_hidden_states=True).hidden_states[self._layer]
            vectors = torch.nn.functional.normalize(states.float(), dim=-1)
            for row, mask, marks in zip(vectors, batch["attention_mask"], special, strict=True):
                there = mask.bool()
                yield row[there], ~marks[there].bool()


def greedy(answer: Tensor, reference: Tensor, of_answer: Tensor, of_reference: Tensor) -> BertScore:
    """Each token is matched to the most similar one of the other text; special tokens may be matched, but do not count.

    Args:
        answer: unit vectors, shape (n, width).
        reference: unit vectors, shape (m, width).
        of_answer: which of the n count.
        of_reference: which of the m count.
    """
    if not bool(of_answer.any()) or not bool(of_reference.any()):
        return BertScore(0.0, 0.0, 0.0)
    similar = answer @ reference.T
    precision = float(similar.max(dim=1).values[of_answer].mean())
    recall = float(similar.max(dim=0).values[of_reference].mean())
    total = precision + recall
    return BertScore(precision, recall, 2 * precision * recall / total if total else 0.0)


@lru_cache(maxsize=1)
def _encoder(folder: str, number: int | None) -> Encoder:
    return Encoder(folder, number)


def score_pairs(pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], BertScore]:
    """BERTScore of every different pair of answer and reference, by the encoder of the environment."""
    wanted = list(dict.fromkeys(pairs))
    encoder = _encoder(os.environ[FOLDER], layer())
    found: dict[tuple[str, str], BertScore] = {}
    # a few hundred pairs at a time: vectors of a whole corpus would not fit into memory
    for start in range(0, len(wanted), 256):
        part = wanted[start : start + 256]
        texts = list(dict.fromkeys(text for pair in part for text in pair))
        vectors: dict[str, Any] = dict(zip(texts, encoder.encode(texts), strict=True))
        for answer, reference in part:
            (a, counts_a), (r, counts_r) = vectors[answer], vectors[reference]
            found[answer, reference] = greedy(a, r, counts_a, counts_r)
    return found
