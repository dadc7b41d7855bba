"""BERTScore against its formula, with a tiny encoder; nothing is fetched."""

from __future__ import annotations

import pytest

from osler.errors import EvaluationError, ModelError
from osler.evaluation import protocols
from osler.evaluation.report_metrics import bertscore
from tests.evaluation.protocols.tiny_encoder import encoder_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return encoder_folder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def known(folder, monkeypatch):
    monkeypatch.setenv(bertscore.FOLDER, str(folder))
    return folder


def brute(folder, answer, reference, layer=-1):
    """One text at a time, loops over tokens; [CLS] and [SEP] may be matched but do not count."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    vectors = []
    for text in (answer, reference):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[layer][0]
        vectors.append([state / state.norm() for state in states])
    a, r = vectors
    precision = sum(max(float(x @ y) for y in r) for x in a[1:-1]) / (len(a) - 2)
    recall = sum(max(float(x @ y) for x in a) for y in r[1:-1]) / (len(r) - 2)
    return precision, recall, 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("layer", [None, 1])
def test_it_is_the_formula(known, monkeypatch, layer):
    if layer is not None:
        monkeypatch.setenv(bertscore.LAYER, str(layer))
    pairs = [
        ("the heart is enlarged", "the heart is normal, no effusion."),
        ("lungs are clear", "clear lungs"),
        ("no", "yes"),
    ]
    found = bertscore.score_pairs(pairs)
    for pair in pairs:
        assert tuple(found[pair]) == pytest.approx(brute(known, *pair, layer=-1 if layer is None else layer), abs=1e-5)


def test_the_protocol_names_its_encoder(known, monkeypatch):
    protocol = protocols.get("bertscore")
    assert f"{known.name}, layer last, sha256 " in protocol.version
    assert protocol.score("the heart", "the heart").value == pytest.approx(1.0)
    assert protocol.score("no effusion", "the heart").value < 1.0
    monkeypatch.setenv(bertscore.LAYER, "1")
    assert protocols.get("bertscore").version != protocol.version


def test_without_an_encoder(monkeypatch, tmp_path):
    monkeypatch.delenv(bertscore.FOLDER, raising=False)
    with pytest.raises(EvaluationError, match="set OSLER_BERTSCORE_MODEL to a local folder"):
        protocols.get("bertscore").score("a", "b")
    monkeypatch.setenv(bertscore.FOLDER, str(tmp_path))
    assert protocols.get("bertscore").missing() == f"{tmp_path} (OSLER_BERTSCORE_MODEL) holds no config.json"
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="cannot be loaded as an encoder"):
        bertscore.Encoder(tmp_path)


def test_pickled_weights_and_absent_ones_are_refused(folder, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path / "pickled")
    weights = load_file(tmp_path / "pickled" / "model.safetensors")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        bertscore.Encoder(tmp_path / "pickled")
    shutil.copytree(folder, tmp_path / "torn")
    kept = {name: tensor for name, tensor in weights.items() if "layer.1." not in name}
    save_file(kept, tmp_path / "torn" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack \d+ tensors"):
        bertscore.Encoder(tmp_path / "torn")
