"""Run with: pytest tests/models/published/test_published_tokenizer.py"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from original_layouts import PIECES
from tiny_tokenizer import reference_encode, write_tokenizer_model

from osler.errors import ModelError
from osler.models.published.sentencepiece import read_sentencepiece
from osler.models.published.tokenizer import add_special_tokens, load_llama_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer_model(folder / "tokenizer.model", PIECES)
    return load_llama_tokenizer(folder, max_length=2048)


def test_reads_what_the_protocol_buffer_classes_wrote(tmp_path):
    write_tokenizer_model(tmp_path / "tokenizer.model", PIECES)
    model = read_sentencepiece(tmp_path / "tokenizer.model")
    kinds = {1: "normal", 2: "unknown", 3: "control", 6: "byte"}
    assert [(p.text, p.score, p.kind) for p in model.pieces] == [(t, s, kinds[k]) for t, s, k in PIECES]
    assert (model.dummy_prefix, model.unk_id, model.bos_id, model.eos_id) == (True, 0, 1, 2)


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("the lungINST[]/?.#\nH é猫"), max_size=40))
def test_ids_equal_the_reference_encoder(tokenizer, text):
    assert tokenizer(text, add_special_tokens=False).input_ids == reference_encode(PIECES, text)


def test_text_around_special_tokens_is_encoded_piece_by_piece(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)  # a copy, so that the shared one keeps its vocabulary
    copy = load_llama_tokenizer(tmp_path, max_length=2048)
    (image,) = add_special_tokens(copy, ["<image>"])
    assert image == len(PIECES)
    ids = copy("[INST] <image>\nWhat is it? [/INST]").input_ids
    first, second = reference_encode(PIECES, "[INST] "), reference_encode(PIECES, "\nWhat is it? [/INST]")
    assert ids == [1, *first, image, *second]
    assert copy.decode(ids[1:]) == "[INST] <image> \nWhat is it? [/INST]"  # the leading space of the second piece


def test_special_token_can_swallow_white_space(tmp_path):
    write_tokenizer_model(tmp_path / "tokenizer.model", PIECES)
    tokenizer = load_llama_tokenizer(tmp_path, max_length=2048)
    start, end = add_special_tokens(tokenizer, ["<im_start>", "<im_end>"], strip=True)
    ids = tokenizer("the lung\n<im_start><im_end> is", add_special_tokens=False).input_ids
    assert ids == [*reference_encode(PIECES, "the lung"), start, end, *reference_encode(PIECES, "is")]


def test_bad_tokenizer_files(tmp_path):
    path = tmp_path / "tokenizer.model"
    with pytest.raises(ModelError, match=r"no tokenizer.model and no tokenizer.json"):
        load_llama_tokenizer(tmp_path, max_length=8)
    write_tokenizer_model(path, PIECES)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 1])
    with pytest.raises(ModelError, match="truncated or not a SentencePiece model"):
        read_sentencepiece(path)
    write_tokenizer_model(path, PIECES, precompiled_charsmap=b"abc")
    with pytest.raises(ModelError, match="normalises text"):
        read_sentencepiece(path)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match="SentencePiece"):
        read_sentencepiece(path)
