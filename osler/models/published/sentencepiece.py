"""Read a SentencePiece BPE model file without the sentencepiece library.

The published checkpoints carry `tokenizer.model`, a protocol-buffer file. Five of its fields are needed, and the wire
format (https://protobuf.dev/programming-guides/encoding/) is a list of (field number, type, value), so a reader is
shorter than a dependency. Field numbers: `sentencepiece_model.proto` of google/sentencepiece.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from osler.errors import ModelError

PieceKind = Literal["normal", "unknown", "control", "user", "unused", "byte"]
_KINDS: dict[int, PieceKind] = {1: "normal", 2: "unknown", 3: "control", 4: "user", 5: "unused", 6: "byte"}


@dataclass(frozen=True)
class Piece:
    """One vocabulary entry; its id is its position."""

    text: str
    score: float
    kind: PieceKind


@dataclass(frozen=True)
class SentencePieceModel:
    """The parts of a model file that decide how text becomes ids.

    Args:
        pieces: vocabulary in id order.
        dummy_prefix: a space is put before the text.
        bos_id: id of the beginning-of-sequence piece, −1 for none.
        eos_id: id of the end-of-sequence piece, −1 for none.
        unk_id: id of the unknown piece.
    """

    pieces: list[Piece]
    dummy_prefix: bool
    bos_id: int
    eos_id: int
    unk_id: int


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Read a BPE model file as LLaMA and Mistral use it.

    Args:
        path: `tokenizer.model`.

    Returns:
        Vocabulary and settings.

    Raises:
        ModelError: not such a file, or one with features that LLaMA's tokenizer does not have (unigram model,
            character normalisation, removal of extra spaces).
    """
    try:
        return _parse(path)
    except (IndexError, struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: truncated or not a SentencePiece model ({error}); download it again") from error


def _parse(path: Path) -> SentencePieceModel:
    pieces: list[Piece] = []
    trainer: dict[int, int] | None = None
    normalizer: dict[int, int] | None = None
    charsmap = b""
    for number, value in _fields(path.read_bytes()):
        if number == 1 and isinstance(value, bytes):
            pieces.append(_piece(value))
        elif number == 2 and isinstance(value, bytes):
            trainer = {n: v for n, v in _fields(value) if isinstance(v, int)}
        elif number == 3 and isinstance(value, bytes):
            normalizer = {}
            for n, v in _fields(value):
                if isinstance(v, int):
                    normalizer[n] = v
                elif n == 2 and isinstance(v, bytes):
                    charsmap = v
    if not pieces or trainer is None or normalizer is None:  # the two specifications stand behind the pieces
        raise ValueError("it ends before the trainer and normaliser specifications")
    if trainer.get(3, 1) != 2:
        raise ModelError(f"{path}: not a BPE model (model_type {trainer.get(3, 1)}); give the folder a tokenizer.json")
    if charsmap or normalizer.get(4, 1):
        raise ModelError(
            f"{path}: normalises text (character map or removal of extra spaces), which LLaMA's tokenizer does not; "
            "give the folder a tokenizer.json"
        )
    return SentencePieceModel(
        pieces=pieces,
        dummy_prefix=bool(normalizer.get(3, 1)),
        bos_id=_signed(trainer.get(41, 1)),
        eos_id=_signed(trainer.get(42, 2)),
        unk_id=_signed(trainer.get(40, 0)),
    )


def _piece(data: bytes) -> Piece:
    values = dict(_fields(data))
    text, score, kind = values[1], values.get(2, b"\0\0\0\0"), values.get(3, 1)
    if not isinstance(text, bytes) or not isinstance(score, bytes) or not isinstance(kind, int):
        raise ValueError("a piece has fields of the wrong type")
    return Piece(text.decode("utf-8"), struct.unpack("<f", score)[0], _KINDS[kind])


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value): int for varints, bytes for everything else."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if at + size > len(data):
            raise ValueError(f"field {number} at byte {at} runs past the end")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError(f"number too long at byte {at}")


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
