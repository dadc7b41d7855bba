"""`LocalRunner` against a greedy loop written out, and against itself at other batch sizes."""

from __future__ import annotations

import pytest
import torch

from osler.errors import EvaluationError, ModelError
from osler.evaluation.runners import LocalRunner, Request, Runner
from osler.messages import to_messages
from osler.records import Turn

from ..tiny_models import FAMILIES

QUESTIONS = [
    "is the heart enlarged ?",
    "what modality is shown in this image ?",
    "where ?",
    "is there a mass in the left lower lobe of the lung , or is the lung normal ? what is shown in the right lung ?",
    "which side ?",
    "is this axial ct ?",
]


def ask(text: str, *images) -> Request:
    return Request(turns=(Turn(role="user", text="<image>\n" * len(images) + text),), images=images)


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request):
    return FAMILIES[request.param]()


@pytest.fixture
def requests(pictures):
    return [ask(question, picture) for question, picture in zip(QUESTIONS, pictures, strict=True)]


def test_answers_do_not_depend_on_batch_size_or_company(family, requests):
    alone = LocalRunner(family, batch_size=1, max_new_tokens=10).answer(requests)
    assert len({answer.text for answer in alone}) >= 4, "the answers are alike, so this test could not fail"
    for batch_size in (2, 4, 6):
        assert LocalRunner(family, batch_size=batch_size, max_new_tokens=10).answer(requests) == alone
    backwards = LocalRunner(family, batch_size=3, max_new_tokens=10).answer(requests[::-1])
    assert backwards[::-1] == alone
    assert any(len(answer.text.split()) > 1 for answer in alone)


def greedy_by_hand(model, processor, request, limit):
    """One full forward pass per token: no cache, no padding, no `generate`."""
    messages, images = to_messages(request.turns), list(request.images)
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(text=text, images=images or None, return_tensors="pt")
    start = inputs["input_ids"].shape[1]
    with torch.no_grad():
        for _ in range(limit):
            token = model(**inputs).logits[:, -1].argmax(-1, keepdim=True)
            if token.item() == processor.tokenizer.eos_token_id:
                break
            inputs["input_ids"] = torch.cat([inputs["input_ids"], token], 1)
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
            if "token_type_ids" in inputs:
                inputs["token_type_ids"] = torch.nn.functional.pad(inputs["token_type_ids"], (0, 1))
    return processor.tokenizer.decode(inputs["input_ids"][0, start:], skip_special_tokens=True).strip()


def test_against_greedy_by_hand(tiny_llava, requests):
    answers = LocalRunner(tiny_llava, batch_size=4, max_new_tokens=30).answer(requests)
    assert [a.text for a in answers] == [greedy_by_hand(*tiny_llava, request, 30) for request in requests]
    assert {a.finished for a in answers} == {True, False}, "want both: ended by token, ended by length"
    for a in answers:
        assert a.tokens < 30 if a.finished else a.tokens == 30


def test_multi_word_answers(tiny_llava, requests):
    """A known server stopped after one token, because its stop string was empty and found in every text."""
    answers = LocalRunner(tiny_llava, batch_size=3, max_new_tokens=20).answer(requests)
    assert max(len(a.text.split()) for a in answers) >= 8
    with pytest.raises(EvaluationError, match="empty"):
        LocalRunner(tiny_llava, stop=("###", ""))


def test_stop_strings_end_and_leave_the_answer(tiny_llava, requests):
    free = LocalRunner(tiny_llava, max_new_tokens=20).answer(requests)
    words = max((a.text.split() for a in free), key=len)
    stop = f"{words[3]} {words[4]}"
    for answer, before in zip(
        LocalRunner(tiny_llava, max_new_tokens=20, stop=(stop,)).answer(requests), free, strict=True
    ):
        assert answer.text == before.text.split(stop)[0].strip()
        assert stop not in answer.text


def test_image_and_text_both_matter(tiny_llava, pictures):
    runner = LocalRunner(tiny_llava, max_new_tokens=12)
    texts = [a.text for a in runner.answer([ask(QUESTIONS[1], picture) for picture in pictures])]
    assert len(set(texts)) >= 3


def test_mixed_with_and_without_images_and_several_images(tiny_llava, pictures):
    mixed = [
        ask(QUESTIONS[0]),
        ask(QUESTIONS[1], pictures[0]),
        ask(QUESTIONS[2]),
        ask(QUESTIONS[3], pictures[1], pictures[2]),
        ask(QUESTIONS[3], pictures[2], pictures[1]),
    ]
    batched = LocalRunner(tiny_llava, batch_size=5, max_new_tokens=12).answer(mixed)
    assert batched == LocalRunner(tiny_llava, batch_size=1, max_new_tokens=12).answer(mixed)
    assert batched[3] != batched[4], "the order of the images of a prompt is lost"
    assert LocalRunner(tiny_llava).answer([]) == []


def test_placeholders_must_match_images(tiny_llava, pictures):
    wrong = Request(turns=(Turn(role="user", text="<image> <image> where ?"),), images=(pictures[0],))
    with pytest.raises(EvaluationError, match=r"request 1: 2 <image> placeholders but 1 images"):
        LocalRunner(tiny_llava).answer([ask("where ?"), wrong])


def test_checkpoint_settings_do_not_leak_into_decoding(requests):
    model, processor = FAMILIES["llava"]()
    clean = LocalRunner((model, processor), max_new_tokens=10).answer(requests)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 50.0
    model.generation_config.repetition_penalty = 9.0
    assert LocalRunner((model, processor), max_new_tokens=10).answer(requests) == clean


def test_the_checkpoints_stop_text_and_placeholder_are_respected(requests):
    """LLaVA-Med v1.0 ends a turn with text; an image placeholder is never an answer. Both are part of the record."""
    model, processor = FAMILIES["llava"]()
    clean = LocalRunner((model, processor), max_new_tokens=10).answer(requests)
    words = clean[0].text.split()
    assert len(words) > 1
    model.generation_config.stop_strings = [words[1]]
    runner = LocalRunner((model, processor), max_new_tokens=10)
    assert runner.answer(requests[:1])[0].text == clean[0].text.split(words[1])[0].strip()
    assert runner.settings()["stop"] == [words[1]]
    model.generation_config.stop_strings = None
    first = processor.tokenizer(words[0], add_special_tokens=False)["input_ids"][0]
    model.generation_config.suppress_tokens = [first]
    runner = LocalRunner((model, processor), max_new_tokens=10)
    assert words[0] not in runner.answer(requests[:1])[0].text.split()
    assert runner.settings()["suppressed_tokens"] == [first]


def test_sampling_is_recorded_and_repeats_under_a_seed(tiny_llava, requests):
    def run(seed):
        return LocalRunner(tiny_llava, max_new_tokens=10, do_sample=True, temperature=3.0, seed=seed)

    assert run(1).answer(requests) == run(1).answer(requests)
    assert run(1).answer(requests) != run(2).answer(requests)
    assert run(1).settings()["decoding"] == "sampling"
    assert run(1).settings()["temperature"] == 3.0
    greedy = LocalRunner(tiny_llava).settings()
    assert (greedy["decoding"], greedy["dtype"], greedy["batch_size"]) == ("greedy", "float32", 8)
    with pytest.raises(EvaluationError, match="temperature"):
        LocalRunner(tiny_llava, do_sample=True, temperature=0.0)


def test_folder_answers_as_the_model_in_memory(tiny_llava, requests, tmp_path):
    model, processor = tiny_llava
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    runner = LocalRunner(tmp_path / "model", max_new_tokens=10, device="cpu")
    assert isinstance(runner, Runner)
    assert runner.answer(requests) == LocalRunner(tiny_llava, max_new_tokens=10).answer(requests)
    assert runner.fingerprint() == LocalRunner(tmp_path / "model", device="cpu").fingerprint()
    with pytest.raises(ModelError):
        LocalRunner(tmp_path / "absent")


def test_fingerprint_follows_the_weights(tiny_llava):
    same, other = FAMILIES["llava"](0), FAMILIES["llava"](1)
    assert LocalRunner(tiny_llava).fingerprint() == LocalRunner(same).fingerprint()
    assert LocalRunner(tiny_llava).fingerprint() != LocalRunner(other).fingerprint()


def test_a_tokenizer_without_padding_token(requests):
    model, processor = FAMILIES["llava"]()
    expected = LocalRunner((model, processor), batch_size=6, max_new_tokens=10).answer(requests)
    processor.tokenizer.pad_token = None
    assert LocalRunner((model, processor), batch_size=6, max_new_tokens=10).answer(requests) == expected


def test_progress_reports_every_prompt(tiny_llava, requests, capsys):
    seen = []
    LocalRunner(tiny_llava, batch_size=4, max_new_tokens=2, progress=True).answer(requests, on_batch=seen.append)
    assert seen == [4, 2]
    assert capsys.readouterr().out == ""
