"""Nodes of texts: passes over the text alone, packed so that no computation goes into padding."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from osler.alignment.nodes import segment_mean
from osler.alignment.settings import AlignmentSettings
from osler.errors import ModelError
from osler.models.language import language_model, unwrap
from osler.training.alignment.packing import Packed, pack
from osler.training.alignment.states import recorded_states
from osler.training.alignment.texts import TokenTexts


def text_nodes(model: Any, texts: TokenTexts, settings: AlignmentSettings) -> tuple[dict[str, Tensor], int]:
    """One node a text.

    All texts of all modalities share one packed pass; a text that occurs twice (an extended answer equal to the answer,
    a frequent short answer) is computed once. With `pooling: all_positions`, as released, each modality has its own
    padded pass and the mean covers padding and begin mark.

    Args:
        model: the (wrapped) model; the pass goes through its own forward, which distributed wrappers rely on.
        texts: from `TextTokeniser`.
        settings: pooling and kind of states.

    Returns:
        Modality to (B, D), and the number of passes through the language model.
    """
    with nullcontext() if _is_trained(model) else torch.no_grad():
        if settings.pooling == "all_positions":
            return _padded(model, texts, settings)
        return _packed(model, texts, settings)


def _is_trained(model: Any) -> bool:
    """Whether a gradient can reach the language model; without one, nothing of the text passes need be kept."""
    return any(parameter.requires_grad for parameter in language_model(model).parameters())


def _packed(model: Any, texts: TokenTexts, settings: AlignmentSettings) -> tuple[dict[str, Tensor], int]:
    distinct: dict[tuple[int, ...], int] = {}
    begins: list[int] = []
    rows: dict[str, list[int]] = {}
    for modality, tokens in texts.items():
        rows[modality] = []
        for row, begin in zip(_rows(tokens), tokens["begin"].tolist(), strict=True):
            key = tuple(row.tolist())
            if key not in distinct:
                distinct[key] = len(distinct)
                begins.append(begin)
            rows[modality].append(distinct[key])
    device = next(iter(texts.values()))["ids"].device
    lengths = [len(key) for key in distinct]
    ids = torch.tensor([token for key in distinct for token in key], device=device)
    if settings.text_states == "embeddings":
        packed = pack(ids, lengths, filler=0, rows=[list(range(len(lengths)))])
        states, passes = unwrap(model).get_input_embeddings()(packed.ids_RL), 0
    else:
        # with a dense mask attention costs the square of a row's length; kernels of variable length like one row best
        one_row = None if _attention(model) in ("sdpa", "eager") else [list(range(len(lengths)))]
        packed = pack(ids, lengths, filler=_pad(texts), rows=one_row)
        states, passes = _run(model, packed), 1
    # the begin mark is a place that the model may look at, but no part of the text
    begin = torch.tensor(begins, device=device, dtype=torch.bool)
    is_begin = (packed.positions_RL == 0) & begin[packed.segment_RL.clamp_min(0)]
    segment = packed.segment_RL.masked_fill(is_begin, -1)
    nodes = segment_mean(states.flatten(0, 1), segment.flatten(), len(lengths))
    return {modality: nodes[torch.tensor(index, device=device)] for modality, index in rows.items()}, passes


def _run(model: Any, packed: Packed) -> Tensor:
    """Last hidden states (R, L, D) of one packed pass.

    Without a mask, transformers keeps texts apart where positions restart, in every kind of attention (masks are built
    with the model's own sliding windows, kernels of variable length get the boundaries); `check_packing` proves it.
    """
    positions = packed.positions_RL
    if _is_multimodal_rope(model):
        positions = positions.expand(4, *positions.shape)  # first row: text positions, then the three rotary axes
    return _forward(model, packed.ids_RL, position_ids=positions)


def check_packing(model: Any) -> None:
    """Prove on two short texts that a packed text does not see its neighbour.

    Raises:
        ModelError: for a family that mixes them; names the settings that need no packing.
    """
    first, second = [5, 6, 7, 8], [9, 8, 7]
    was_training = model.training
    model.eval()
    device = unwrap(model).device
    try:
        with torch.no_grad():
            alone = [
                _run(model, pack(torch.tensor(text, device=device), [len(text)], filler=0)) for text in (first, second)
            ]
            both = _run(model, pack(torch.tensor(first + second, device=device), [4, 3], filler=0, rows=[[0, 1]]))
    finally:
        model.train(was_training)
    want = torch.cat(alone, 1)
    difference = (both - want).abs().max() / want.abs().max()
    if not difference < (1e-3 if want.dtype == torch.float32 else 5e-2):
        raise ModelError(
            f"{type(unwrap(model)).__name__}: texts packed into one row see each other (difference {difference:.2g}); "
            "set alignment.pooling to all_positions, or alignment.text_states to embeddings"
        )


def _padded(model: Any, texts: TokenTexts, settings: AlignmentSettings) -> tuple[dict[str, Tensor], int]:
    nodes, passes = {}, 0
    for modality, tokens in texts.items():
        ids = pad_sequence(list(_rows(tokens)), batch_first=True, padding_value=_pad(texts))
        lengths = tokens["lengths"].to(ids.device)
        if settings.text_states == "embeddings":
            states = unwrap(model).get_input_embeddings()(ids)
        else:
            mask = (torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]).long()
            states, passes = _forward(model, ids, attention_mask=mask), passes + 1
        nodes[modality] = states.to(torch.promote_types(states.dtype, torch.float32)).mean(1)
    return nodes, passes


def _forward(model: Any, ids: Tensor, **options: Any) -> Tensor:
    with recorded_states(model) as states:
        # one row of logits instead of all: nobody reads them
        model(input_ids=ids, use_cache=False, logits_to_keep=1, **options)
    assert states.hidden_BTD is not None
    return states.hidden_BTD


def _rows(tokens: dict[str, Tensor]) -> tuple[Tensor, ...]:
    return tokens["ids"].split(tokens["lengths"].tolist())


def _attention(model: Any) -> str:
    return str(unwrap(model).config.get_text_config()._attn_implementation)


def _is_multimodal_rope(model: Any) -> bool:
    parameters = getattr(unwrap(model).config.get_text_config(), "rope_parameters", None) or {}
    return "mrope_section" in parameters


def _pad(texts: TokenTexts) -> int:
    return int(next(iter(texts.values()))["pad"])
