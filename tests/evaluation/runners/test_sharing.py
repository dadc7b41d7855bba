"""The shared image prefix and the probabilities, against full forward passes without cache."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.errors import EvaluationError
from osler.evaluation.runners import LocalRunner, Request
from osler.evaluation.runners.prefill import can_share
from osler.evaluation.runners.prompts import conversations
from osler.records import Turn

from ..tiny_models import FAMILIES, widen
from .test_local import QUESTIONS, ask


@pytest.fixture
def many(pictures):
    """Each question about each of four pictures, in no order, with one prompt without and one with two pictures."""
    requests = [ask(question, picture) for question in QUESTIONS for picture in pictures[:4]]
    requests += [ask(QUESTIONS[0]), ask(QUESTIONS[3], pictures[1], pictures[2])]
    random.Random(0).shuffle(requests)
    return requests


def chances(model, processor, request, tokens):
    """ln p of each token after the prompt, from one forward pass over all of it."""
    inputs = processor.apply_chat_template(
        conversations([request]), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    start = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([tokens])], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    for name in ("token_type_ids", "mm_token_type_ids"):
        if name in inputs:
            inputs[name] = torch.nn.functional.pad(inputs[name], (0, len(tokens)))
    with torch.no_grad():
        logits = model(**inputs).logits[0, start - 1 : -1]
    logits[:, list(getattr(model.generation_config, "suppress_tokens", None) or ())] = -torch.inf
    return logits.log_softmax(-1).gather(1, torch.tensor(tokens)[:, None])[:, 0]


def test_sharing_changes_no_answer_and_saves_the_prefix(tiny_llava, many):
    alone = LocalRunner(tiny_llava, batch_size=1, max_new_tokens=12, share_images=False).answer(many)
    assert len({answer.text for answer in alone}) > 8, "the answers are alike, so this test could not fail"
    assert {answer.finished for answer in alone} == {True, False}
    for batch_size in (2, 5, 26):
        runner = LocalRunner(tiny_llava, batch_size=batch_size, max_new_tokens=12)
        found = runner.answer(many)
        assert found == alone
        assert [a.logprob for a in found] == pytest.approx([a.logprob for a in alone], abs=1e-4)
        # a prefix is "user :" and four image tokens; of six rows about a picture five take it from another
        assert runner._prefill.shared_tokens == 4 * 5 * 6, batch_size


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=12),
    batch_size=st.integers(1, 13),
)
def test_order_company_and_batch_size_change_nothing(tiny_llava, pictures, asked, batch_size):
    requests = [ask(QUESTIONS[question], pictures[picture]) for question, picture in asked]
    found = LocalRunner(tiny_llava, batch_size=batch_size, max_new_tokens=6).answer(requests)
    known = {}
    for pair, request, answer in zip(asked, requests, found, strict=True):
        if pair not in known:
            alone = LocalRunner(tiny_llava, batch_size=1, max_new_tokens=6, share_images=False)
            (known[pair],) = alone.answer([request])
        assert answer == known[pair]
        assert answer.logprob == pytest.approx(known[pair].logprob, abs=1e-3)


def test_a_question_before_the_picture_shares_nothing_and_is_answered(tiny_llava, pictures):
    requests = [
        Request(turns=(Turn(role="user", text=f"{question}\n<image>"),), images=(pictures[0],))
        for question in QUESTIONS
    ]
    runner = LocalRunner(tiny_llava, batch_size=6, max_new_tokens=8)
    assert runner.answer(requests) == LocalRunner(tiny_llava, batch_size=1, max_new_tokens=8).answer(requests)
    assert runner._prefill.shared_tokens == 0


def test_a_template_that_ends_with_the_picture(pictures):
    model, processor = FAMILIES["llava"]()
    processor.chat_template = processor.chat_template.replace("{{ ' ' }}", "").replace("assistant : ", "")
    requests = [
        Request(turns=(Turn(role="user", text=f"{question}\n<image>"),), images=(pictures[0],))
        for question in (QUESTIONS[0], QUESTIONS[0], QUESTIONS[4])
    ]
    model_answers = LocalRunner((model, processor), max_new_tokens=6).answer(requests)
    assert model_answers == LocalRunner((model, processor), max_new_tokens=6, batch_size=1).answer(requests)


@pytest.mark.parametrize("projector", ["linear", "dci"])
def test_osler_models_share_too(projector, pictures):
    from tests import tiny

    loaded = tiny.model("clip", projector=projector)
    widen(loaded.model, 0)
    loaded.model.generation_config.eos_token_id = 2
    requests = [ask(question, picture) for question in QUESTIONS for picture in pictures[:2]]
    both = loaded.model, loaded.processor
    alone = LocalRunner(both, batch_size=1, share_images=False, max_new_tokens=8).answer(requests)
    runner = LocalRunner(both, batch_size=6, max_new_tokens=8)
    assert runner.answer(requests) == alone
    assert runner._prefill.shared_tokens > 0
    assert len({answer.text for answer in alone}) > 3


def test_another_picture_of_the_same_size_is_another_prefix(tiny_llava, pictures):
    other = pictures[0].transpose(0)
    both = [ask(QUESTIONS[1], pictures[0]), ask(QUESTIONS[1], other), ask(QUESTIONS[1], pictures[0].copy())]
    first, second, third = LocalRunner(tiny_llava, max_new_tokens=10).answer(both)
    assert first.logprob != pytest.approx(second.logprob, abs=1e-3)
    assert first == third
    assert first.logprob == pytest.approx(third.logprob, abs=1e-5)


def test_kept_prefixes_do_not_pile_up(tiny_llava, many):
    runner = LocalRunner(tiny_llava, batch_size=4, max_new_tokens=2)
    runner.answer(many)
    assert len(runner._prefill._kept) <= 4
    assert len(runner._encoder._pictures) <= 4


def test_sliding_windows_and_other_families_are_not_shared():
    model, _ = FAMILIES["llava"]()
    assert can_share(model)
    model.config.text_config.sliding_window = 8
    assert not can_share(model)
    assert not any(can_share(FAMILIES[name]()[0]) for name in ("qwen2.5-vl", "gemma3", "smolvlm"))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_probability_of_an_answer(family, pictures):
    model, processor = FAMILIES[family]()
    requests = [ask(question, picture) for question, picture in zip(QUESTIONS, pictures, strict=True)]
    answers = LocalRunner((model, processor), batch_size=4, max_new_tokens=10).answer(requests)
    for request, answer in zip(requests, answers, strict=True):
        tokens = processor.tokenizer(answer.text, add_special_tokens=False)["input_ids"]
        if len(tokens) != answer.tokens:  # a special token within the answer, which its text does not show
            continue
        tokens += [3] if answer.finished else []
        assert answer.logprob == pytest.approx(float(chances(model, processor, request, tokens).sum()), abs=2e-3)
    assert all(answer.logprob < 0 for answer in answers)


def test_stop_strings_count_the_token_that_completed_them(tiny_llava, pictures):
    request = ask(QUESTIONS[1], pictures[0])
    free = LocalRunner(tiny_llava, max_new_tokens=12).answer([request])[0]
    words = free.text.split()
    stopped = LocalRunner(tiny_llava, max_new_tokens=12, stop=(words[2],)).answer([request])[0]
    tokens = tiny_llava[1].tokenizer(" ".join(words[:3]), add_special_tokens=False)["input_ids"]
    assert (stopped.text, stopped.tokens, stopped.finished) == (" ".join(words[:2]), 2, True)
    assert stopped.logprob == pytest.approx(float(chances(*tiny_llava, request, tokens).sum()), abs=2e-3)


OPTIONS = ("yes", "no", "left lower lobe of the lung", "mass")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_options_against_one_pass_each(family, pictures):
    model, processor = FAMILIES[family]()
    requests = [
        Request(turns=ask(question, picture).turns, images=(picture,), options=OPTIONS[: 2 + number % 3])
        for number, question in enumerate(QUESTIONS)
        for picture in pictures[:2]
    ]
    answers = LocalRunner((model, processor), batch_size=5).answer(requests)
    assert len({answer.options_logprob for answer in answers}) == len(answers), "alike: this test could not fail"
    for request, answer in zip(requests, answers, strict=True):
        by_hand = []
        for text in request.options:
            tokens = [*processor.tokenizer(text, add_special_tokens=False)["input_ids"], 3]
            by_hand.append(float(chances(model, processor, request, tokens).sum()))
        assert list(answer.options_logprob) == pytest.approx(by_hand, abs=2e-3)
        assert answer.text == request.options[max(range(len(by_hand)), key=by_hand.__getitem__)]
        assert answer.logprob == max(answer.options_logprob)
        assert answer.tokens == len(processor.tokenizer(answer.text, add_special_tokens=False)["input_ids"])


def test_options_and_free_answers_in_one_call(tiny_llava, pictures):
    plain = [ask(question, pictures[0]) for question in QUESTIONS[:3]]
    choices = [Request(turns=r.turns, images=r.images, options=OPTIONS) for r in plain]
    runner = LocalRunner(tiny_llava, max_new_tokens=6)
    mixed = runner.answer([plain[0], choices[0], plain[1], choices[1], plain[2], choices[2]])
    assert mixed[::2] == runner.answer(plain)
    assert mixed[1::2] == runner.answer(choices)


def test_options_are_read_as_the_template_writes_answers(pictures):
    """A template that sets a space before answers and ends them with a mark of its own is followed."""
    from tests import tiny

    loaded = tiny.model("clip")
    request = Request(turns=ask("what colour ?", pictures[0]).turns, images=(pictures[0],), options=("red", "blue"))
    answer = LocalRunner((loaded.model, loaded.processor)).answer([request])[0]
    runner = LocalRunner((loaded.model, loaded.processor))
    prompt = runner._encoder.encode([request], [(b"key",)])[0]
    tail = runner._encoder.continuation(request, prompt, "red", runner._ends)
    assert loaded.processor.tokenizer.decode(tail) == "red<|im_end|>"
    by_hand = float(chances(loaded.model, loaded.processor, request, tail).sum())
    assert answer.options_logprob[0] == pytest.approx(by_hand, abs=1e-3)


def test_a_model_without_end_token_cannot_choose(pictures):
    model, processor = FAMILIES["llava"]()
    model.generation_config.eos_token_id = None
    processor.tokenizer.eos_token = None
    request = Request(turns=ask("where ?", pictures[0]).turns, images=(pictures[0],), options=("yes", "no"))
    with pytest.raises(EvaluationError, match="no end token"):
        LocalRunner((model, processor)).answer([request])


def test_confidence_of_predictions():
    from osler.evaluation.predictions import Prediction

    base = {"item": "a", "condition": "real", "answer": "yes", "question": "?", "reference": "no"}
    base |= {"question_type": "x", "answer_type": None, "images": ()}
    assert Prediction(**base).confidence is None
    assert Prediction(**base, tokens=1, finished=True, logprob=math.log(0.25)).confidence == pytest.approx(0.5)
    assert Prediction(**base, tokens=1, finished=False, logprob=math.log(0.25)).confidence == pytest.approx(0.25)
    chosen = Prediction(**base, options_logprob=(-1000.0, -1000.0 + math.log(3)), logprob=-998.9, tokens=1)
    assert chosen.confidence == pytest.approx(0.75)
