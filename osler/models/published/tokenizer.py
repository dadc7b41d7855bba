"""Turn a checkpoint's LLaMA-style tokenizer into a fast tokenizer that gives the ids of the original loader.

The originals were run with the slow SentencePiece tokenizer in its first ("legacy") behaviour: text is cut at special
tokens and *each* piece of text gets a leading space. `tokenizers` does the same with a `Prepend` normaliser. Special
pieces such as `<unk>` are not merged out of ordinary text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from osler.errors import ModelError
from osler.models.published.sentencepiece import SentencePieceModel, read_sentencepiece

_SPACE = "▁"


def load_llama_tokenizer(folder: Path, *, fallback: Path | None = None, max_length: int) -> PreTrainedTokenizerFast:
    """Build the tokenizer of a checkpoint, without the tokens that the checkpoint added to it.

    `tokenizer.model` comes first, because that is what the original loaders read; `tokenizer.json` is taken only where
    there is no `tokenizer.model`.

    Args:
        folder: checkpoint folder.
        fallback: folder to look into next, for instance the base model's.
        max_length: context length that the model was trained with, in tokens.

    Returns:
        Fast tokenizer that puts the beginning-of-sequence token first, pads on the left (for generation) and has no
        padding token yet.

    Raises:
        ModelError: no tokenizer, or one that is not LLaMA-style BPE.
    """
    folders = [folder] if fallback is None else [folder, fallback]
    for place in folders:
        if (place / "tokenizer.model").is_file():
            model = read_sentencepiece(place / "tokenizer.model")
            backend, bos, eos, unk = _backend(model), model.bos_id, model.eos_id, model.unk_id
            break
        if (place / "tokenizer.json").is_file():
            backend, bos, eos, unk = _from_json(place / "tokenizer.json")
            break
    else:
        places = " or ".join(str(place) for place in folders)
        raise ModelError(f"{places}: no tokenizer.model and no tokenizer.json; download the tokenizer files")
    if bos < 0 or eos < 0:
        raise ModelError(f"{place}: the tokenizer has no begin- or end-of-sequence token; is it a LLaMA tokenizer?")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=backend.id_to_token(bos),
        eos_token=backend.id_to_token(eos),
        unk_token=backend.id_to_token(unk),
        padding_side="left",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_bos_token = True
    return tokenizer


def add_special_tokens(tokenizer: PreTrainedTokenizerFast, tokens: Sequence[str], *, strip: bool = False) -> list[int]:
    """Append special tokens in order.

    Args:
        tokenizer: changed in place.
        tokens: texts; one that is there already keeps its id.
        strip: swallow white space on both sides of the token.

    Returns:
        Their ids.
    """
    tokenizer.add_special_tokens(
        {
            "additional_special_tokens": [
                AddedToken(t, special=True, normalized=False, lstrip=strip, rstrip=strip) for t in tokens
            ]
        },
        replace_extra_special_tokens=False,
    )
    return [int(tokenizer.convert_tokens_to_ids(token)) for token in tokens]


def _backend(model: SentencePieceModel) -> Tokenizer:
    vocab = {piece.text: i for i, piece in enumerate(model.pieces)}
    if len(vocab) != len(model.pieces):
        raise ModelError("tokenizer.model: two pieces with the same text; the file is damaged")
    backend = Tokenizer(
        BPE(
            vocab=vocab,
            merges=_merges(model, vocab),
            unk_token=model.pieces[model.unk_id].text,
            fuse_unk=True,
            byte_fallback=any(piece.kind == "byte" for piece in model.pieces),
        )
    )
    steps: list[Any] = [normalizers.Replace(" ", _SPACE)]
    if model.dummy_prefix:
        steps.insert(0, normalizers.Prepend(_SPACE))
    backend.normalizer = normalizers.Sequence(steps)
    undo: list[Any] = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if model.dummy_prefix:
        undo.append(decoders.Strip(content=" ", left=1))
    backend.decoder = decoders.Sequence(undo)
    special = [p.text for p in model.pieces if p.kind in ("unknown", "control")]
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    user = [p.text for p in model.pieces if p.kind == "user"]
    backend.add_tokens([AddedToken(text, normalized=False) for text in user])
    return backend


def _merges(model: SentencePieceModel, vocab: dict[str, int]) -> list[tuple[str, str]]:
    """Order all pairs that join to a piece by that piece's score, highest first: SentencePiece's greedy rule."""
    normal = {piece.text for piece in model.pieces if piece.kind == "normal"}
    ranked = sorted((p for p in model.pieces if p.text in normal), key=lambda p: (-p.score, vocab[p.text]))
    merges: list[tuple[str, str]] = []
    for piece in ranked:
        cuts = [(piece.text[:i], piece.text[i:]) for i in range(1, len(piece.text))]
        pairs = [(left, right) for left, right in cuts if left in normal and right in normal]
        merges += sorted(pairs, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
    return merges


def _from_json(path: Path) -> tuple[Tokenizer, int, int, int]:
    try:
        backend = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises bare Exception
        raise ModelError(f"{path}: not a tokenizer file ({error}); download it again") from error
    bos, eos, unk = (backend.token_to_id(token) for token in ("<s>", "</s>", "<unk>"))
    if bos is None or eos is None or unk is None:
        raise ModelError(f"{path}: has no <s>, </s> and <unk>; is it a LLaMA tokenizer?")
    return backend, bos, eos, unk
