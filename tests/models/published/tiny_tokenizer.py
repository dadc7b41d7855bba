"""A SentencePiece BPE model file, written with the real protocol buffer classes, and a reference encoder for it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

SAMPLE = (
    "[INST] What is shown in the image? [/INST] The image shows the left lung. Is there a lesion in the right lung? "
    "A chat between a curious human and an assistant.###Human: Hi!###Assistant: Hi there! How can I help you today? "
    "the pleural effusion is in the left lower lobe; the heart is normal. ### ### Human: Describe the image."
)


def train_pieces(merges: int = 60) -> list[tuple[str, float, int]]:
    """Pieces (text, score, type) in LLaMA's order: special, 256 bytes, merged pieces, single characters."""
    words = [["▁", *word] for word in SAMPLE.split(" ")]
    merged: list[str] = []
    for _ in range(merges):
        pairs = Counter(pair for word in words for pair in pairwise(word))
        (a, b), _count = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if a + b not in merged:
            merged.append(a + b)
        for word in words:
            i = 0
            while i + 1 < len(word):
                if word[i] == a and word[i + 1] == b:
                    word[i : i + 2] = [a + b]
                i += 1
    characters = sorted({c for c in SAMPLE if c != " "} | {"▁"})
    special = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    bytes_ = [(f"<0x{i:02X}>", 0.0, 6) for i in range(256)]
    normal = [(text, -float(i), 1) for i, text in enumerate([*merged, *characters])]
    return [*special, *bytes_, *normal]


def write_tokenizer_model(path: Path, pieces: list[tuple[str, float, int]], **normalizer: object) -> None:
    from transformers.utils import sentencepiece_model_pb2_new as pb

    model = pb.ModelProto()
    for text, score, kind in pieces:
        piece = model.pieces.add()
        piece.piece, piece.score, piece.type = text, score, kind
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.unk_id, model.trainer_spec.bos_id, model.trainer_spec.eos_id = 0, 1, 2
    model.trainer_spec.pad_id = -1
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = False
    for name, value in normalizer.items():
        setattr(model.normalizer_spec, name, value)
    path.write_bytes(model.SerializeToString())


def reference_encode(pieces: list[tuple[str, float, int]], text: str) -> list[int]:
    """SentencePiece's greedy BPE: merge the adjacent pair with the best-scored result, leftmost first."""
    if not text:
        return []
    score = {t: s for t, s, kind in pieces if kind == 1}
    ids = {t: i for i, (t, _, _) in enumerate(pieces)}
    symbols = list("▁" + text.replace(" ", "▁"))
    while True:
        joined = [a + b for a, b in pairwise(symbols)]
        options = [(score[text], -i) for i, text in enumerate(joined) if text in score]
        if not options:
            break
        i = -max(options)[1]
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
    out: list[int] = []
    for symbol in symbols:
        if symbol in score:
            out.append(ids[symbol])
        else:
            out += [ids[f"<0x{byte:02X}>"] for byte in symbol.encode("utf-8")]
    return out
