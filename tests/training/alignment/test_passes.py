"""Text nodes from packed passes against one plain pass for each text, on every model family that trains."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from osler.alignment.settings import AlignmentSettings
from osler.errors import ModelError, RecipeError
from osler.models.language import language_model
from osler.records import ImageRef, Record, Turn
from osler.training.alignment.passes import check_packing, text_nodes
from osler.training.alignment.texts import TextTokeniser, check_records, graph_text
from tests import tiny
from tests.evaluation import tiny_models

FAMILIES = ["osler", "llava", "qwen", "gemma", "smolvlm"]


def family(name: str) -> tuple[Any, Any]:
    if name == "osler":
        loaded = tiny.model()
        return loaded.model, loaded.processor
    model, processor = getattr(tiny_models, name)()
    return model, processor


def record(number: int, answers: list[str], extended: list[str]) -> Record:
    turns = [Turn(role="user", text="<image>\nwhat?"), Turn(role="assistant", text=answers[0])]
    for answer in answers[1:]:
        turns += [Turn(role="user", text="and?"), Turn(role="assistant", text=answer)]
    return Record(id=str(number), images=(ImageRef(path="a.png"),), turns=tuple(turns), extended=tuple(extended))


RECORDS = [
    record(0, ["yes", "it is red"], ["yes indeed", "this image is red"]),
    record(1, ["no"], ["no"]),
    record(2, ["a green image"], ["what a green image this is"]),
    record(3, ["no"], ["it is not a green image , is it ?"]),
]


def test_the_text_of_a_node_is_the_answers_in_one_line() -> None:
    two = record(9, ["Yes\n it  is", "red"], ["a", "b"])
    assert graph_text(two, "answers") == "Yes it is. red"
    assert graph_text(two, "extended") == "a. b"


@pytest.mark.parametrize("name", FAMILIES)
def test_packed_nodes_and_gradients_are_those_of_single_passes(name: str) -> None:
    model, processor = family(name)
    model = model.double().eval()  # norms and rotary angles stay in float32 inside
    settings = AlignmentSettings()
    texts = TextTokeniser(processor.tokenizer, settings)(RECORDS)
    nodes, passes = text_nodes(model, texts, settings)
    assert passes == 1
    weights = {key: torch.randn_like(value) for key, value in nodes.items()}
    torch.stack([(nodes[key] * weights[key]).sum() for key in nodes]).sum().backward()
    gradients = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()

    total = torch.zeros((), dtype=torch.float64)
    for modality, tokens in texts.items():
        for row, ids in enumerate(tokens["ids"].split(tokens["lengths"].tolist())):
            hidden = language_model(model)(
                inputs_embeds=model.get_input_embeddings()(ids[None]), use_cache=False
            ).last_hidden_state[0]
            want = hidden[int(tokens["begin"][row]) :].mean(0)
            torch.testing.assert_close(nodes[modality][row], want, rtol=1e-5, atol=1e-6)
            total = total + (want * weights[modality][row]).sum()
    total.backward()
    for key, parameter in model.named_parameters():
        if key in gradients:
            torch.testing.assert_close(gradients[key], parameter.grad, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_packed_texts_apart(name: str) -> None:
    check_packing(family(name)[0])


def test_a_family_that_mixes_packed_texts_is_refused() -> None:
    model, _ = family("osler")
    forward = model.model.language_model.forward
    # positions that do not restart: what a family does that makes up its own
    model.model.language_model.forward = lambda *args, **kwargs: forward(*args, **{**kwargs, "position_ids": None})
    with pytest.raises(ModelError, match=r"see each other.*pooling"):
        check_packing(model)


def test_masked_pooling_ignores_longer_neighbours_and_released_pooling_does_not() -> None:
    model, processor = family("osler")
    longer = [*RECORDS[:1], record(8, ["no " * 20], ["no " * 30])]
    for settings, same in ((AlignmentSettings(), True), (AlignmentSettings(preset="released"), False)):
        tokenise = TextTokeniser(processor.tokenizer, settings)
        alone, _ = text_nodes(model, tokenise(RECORDS[:1]), settings)
        beside, _ = text_nodes(model, tokenise(longer), settings)
        assert torch.allclose(alone["answers"][0], beside["answers"][0], atol=1e-5) == same


def test_released_pooling_is_the_mean_over_a_padded_batch() -> None:
    model, processor = family("osler")
    settings = AlignmentSettings(preset="released")
    texts = TextTokeniser(processor.tokenizer, settings)(RECORDS)
    nodes, passes = text_nodes(model, texts, settings)
    assert passes == 2
    batch = processor.tokenizer(
        [graph_text(r, "extended") for r in RECORDS], padding=True, padding_side="right", return_tensors="pt"
    )
    hidden = language_model(model)(
        inputs_embeds=model.get_input_embeddings()(batch["input_ids"]), attention_mask=batch["attention_mask"]
    ).last_hidden_state
    torch.testing.assert_close(nodes["extended"], hidden.mean(1), rtol=1e-5, atol=1e-6)


def test_the_begin_mark_is_seen_but_not_pooled() -> None:
    model, processor = family("osler")
    settings = AlignmentSettings()
    texts = TextTokeniser(processor.tokenizer, settings)(RECORDS[2:3])
    ids = torch.cat([torch.tensor([processor.tokenizer.bos_token_id]), texts["answers"]["ids"]])
    marked = {
        "answers": {
            "ids": ids,
            "lengths": texts["answers"]["lengths"] + 1,
            "begin": torch.tensor([1]),
            "pad": torch.tensor(0),
        }
    }
    nodes, _ = text_nodes(model, marked, settings)
    hidden = language_model(model)(inputs_embeds=model.get_input_embeddings()(ids[None])).last_hidden_state[0]
    torch.testing.assert_close(nodes["answers"][0], hidden[1:].mean(0), rtol=1e-5, atol=1e-6)


def test_embeddings_cost_no_pass() -> None:
    model, processor = family("osler")
    settings = AlignmentSettings(text_states="embeddings")
    texts = TextTokeniser(processor.tokenizer, settings)(RECORDS)
    nodes, passes = text_nodes(model, texts, settings)
    assert passes == 0
    first = texts["answers"]["ids"][: int(texts["answers"]["lengths"][0])]
    torch.testing.assert_close(nodes["answers"][0], model.get_input_embeddings()(first).mean(0))


def test_a_frozen_language_model_keeps_nothing_for_a_backward_pass() -> None:
    model, processor = family("osler")
    model.requires_grad_(False)
    settings = AlignmentSettings()
    nodes, _ = text_nodes(model, TextTokeniser(processor.tokenizer, settings)(RECORDS), settings)
    assert not nodes["answers"].requires_grad


def test_records_without_a_modality_are_named() -> None:
    plain = Record(id="plain-7", turns=(Turn(role="user", text="hi"), Turn(role="assistant", text="ho")))
    with pytest.raises(RecipeError, match="'plain-7' has no image"):
        check_records([plain], AlignmentSettings(), "two")
    short = record(5, ["yes"], [])
    with pytest.raises(RecipeError, match=r"'5' has no extended text.*modalities=\['image', 'answers'\]"):
        check_records([short], AlignmentSettings(), "two")
    check_records([short], AlignmentSettings(modalities=("image", "answers")), "two")
