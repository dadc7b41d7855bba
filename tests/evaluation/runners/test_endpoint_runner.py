"""The endpoint runner over real HTTP: same answers as the local runner, failures, limits, secrets."""

from __future__ import annotations

import json

import pytest

from osler import endpoint_async
from osler.errors import EndpointError, EvaluationError
from osler.evaluation import evaluate
from osler.evaluation.predictions import read_predictions
from osler.evaluation.runners import EndpointRunner, LocalRunner, Request, Runner
from osler.records import Turn
from tests.endpoint_server import chat, failure, replies, serving
from tests.model_server import ModelServer

from ..tiny_models import FAMILIES
from .test_local import QUESTIONS, ask


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(endpoint_async, "_sleep", sleep)
    return slept


@pytest.mark.parametrize("family", ["llava", "smolvlm"])
@pytest.mark.parametrize("shows_end", [True, False])
def test_the_same_answers_as_the_local_runner(family, shows_end, pictures):
    model, processor = FAMILIES[family]()
    requests = [ask(question, picture) for question, picture in zip(QUESTIONS, pictures, strict=True)]
    requests += [ask(QUESTIONS[0]), ask(QUESTIONS[3], pictures[2], pictures[1])]
    requests.append(Request(turns=(Turn(role="system", text="be short ."), *requests[0].turns), images=pictures[:1]))
    local = LocalRunner((model, processor), max_new_tokens=10, batch_size=4).answer(requests)
    with serving(ModelServer(model, processor, shows_end=shows_end)) as server:
        runner = EndpointRunner(server.url, "m", max_new_tokens=10, concurrency=3)
        assert isinstance(runner, Runner)
        served = runner.answer(requests)
    assert {answer.finished for answer in local} >= {False}
    assert [answer.text for answer in served] == [answer.text for answer in local]
    if family == "llava":  # the tiny SmolVLM says special tokens, which are tokens but no text
        assert served == local
        whole = [i for i, answer in enumerate(local) if shows_end or not answer.finished]
        assert len(whole) > 2
        assert [served[i].logprob for i in whole] == pytest.approx([local[i].logprob for i in whole], abs=1e-3)


def test_a_whole_evaluation_over_http_gives_the_local_scores(tiny_llava, record_folder, tmp_path):
    common = {"data": record_folder, "batch_size": 4, "max_new_tokens": 6, "progress": False}
    local = evaluate(tiny_llava, "records", out=tmp_path / "local", **common)
    with serving(ModelServer(*tiny_llava), models=("tiny",)) as server:
        runner = EndpointRunner(server.url, max_new_tokens=6)
        served = evaluate(runner, "records", out=tmp_path / "served", **common)
    assert served.scores["model"]["name"] == f"tiny at {server.url}"
    assert served.scores["conditions"] == local.scores["conditions"]
    told = {(p.condition, p.item): p.answer for p in local.predictions}
    assert {(p.condition, p.item): p.answer for p in served.predictions} == told


def test_requests_under_way_are_limited_and_order_is_kept(pictures):
    def echo(body):
        import time

        time.sleep(0.02)
        return chat(body["messages"][0]["content"])

    with serving(echo) as server:
        answers = EndpointRunner(server.url, concurrency=3).answer([ask(str(n)) for n in range(20)])
    assert [answer.text for answer in answers] == [str(n) for n in range(20)]
    assert 1 < server.most_at_once <= 3


def test_repeated_then_answered_and_failed_are_told_apart(no_waiting):
    tries = {}

    def answer(body):
        text = body["messages"][0]["content"]
        tries[text] = tries.get(text, 0) + 1
        if text == "hopeless":
            return failure(400, "too long")
        return failure(503, retry_after="2") if text == "busy" and tries[text] < 3 else chat(f"to {text}")

    with serving(answer) as server:
        runner = EndpointRunner(server.url, api_key="secret-key")
        fine, busy, hopeless = runner.answer([ask("fine"), ask("busy"), ask("hopeless")])
    assert (fine.text, busy.text, hopeless.text) == ("to fine", "to busy", "")
    assert "status 400: too long" in hopeless.failure
    assert "secret-key" not in hopeless.failure
    assert no_waiting == [2.0, 2.0]
    assert all(header["authorization"] == "Bearer secret-key" for header in server.headers)
    assert "secret-key" not in json.dumps(runner.settings()) + runner.name + runner.fingerprint()


def test_failures_stay_in_the_denominator_and_are_asked_again(record_folder, tmp_path):
    broken = {"is there a mass ?"}

    def answer(body):
        text = body["messages"][0]["content"][-1]["text"]
        return failure(400, "no") if text in broken else chat("yes")

    out = tmp_path / "out"
    with serving(answer) as server:

        def run():
            runner = EndpointRunner(server.url, "m")
            return evaluate(runner, "records", data=record_folder, out=out, controls=(), batch_size=4, progress=False)

        first = run()
        entry = first.scores["conditions"]["real"]["protocols"]["strict-exact-match"]
        assert (entry["denominator"], entry["missing"], entry["failures"]) == (12, 4, 4)
        assert any("4 prompts of condition real failed" in warning for warning in first.scores["warnings"])
        failed = [p for p in read_predictions(out / "predictions.jsonl") if p.answer is None]
        assert len(failed) == 4
        assert failed[0].note.startswith("failed: ")
        asked = len(server.asked)
        broken.clear()
        second = run()
    assert len(server.asked) == asked + 4
    assert second.scores["conditions"]["real"]["protocols"]["strict-exact-match"]["missing"] == 0
    assert len(read_predictions(out / "predictions.jsonl")) == 12


def test_a_server_without_probabilities_is_asked_without():
    def answer(body):
        return failure(422, "unknown field logprobs") if "logprobs" in body else chat("yes")

    with serving(answer) as server:
        runner = EndpointRunner(server.url)
        answers = runner.answer([ask("a"), ask("b")]) + runner.answer([ask("c")])
    assert [(a.text, a.logprob) for a in answers] == [("yes", None)] * 3
    assert sum("logprobs" in body for body in server.asked) == 1


def test_a_server_that_dies_ends_the_run_and_one_that_answers_nothing_does_at_once(monkeypatch):
    monkeypatch.setattr("osler.evaluation.runners.endpoint.GIVE_UP", 4)
    with serving(lambda body: failure(400, "no such model")) as server, pytest.raises(EndpointError) as raised:
        EndpointRunner(server.url, "m").answer([ask("a"), ask("b")])
    assert "it offers m" in str(raised.value)
    assert "no such model" in str(raised.value)
    with serving(replies(chat("yes"), chat("yes"), failure(500))) as server:
        runner = EndpointRunner(server.url, retries=0)
        runner.answer([ask("a")])
        with pytest.raises(EndpointError, match="4 prompts failed one after the other"):
            runner.answer([ask(str(n)) for n in range(6)])


def test_addresses_models_and_options_that_will_not_do(monkeypatch):
    with serving(replies(chat("x")), models=("a", "b")) as server:
        with pytest.raises(EndpointError, match=r"offers a, b; say which"):
            EndpointRunner(server.url)
        assert EndpointRunner(server.url, "b").name.startswith("b at http")
        server.models = None
        assert EndpointRunner(server.url, "c").answer([ask("a")])[0].text == "x"
        with pytest.raises(EndpointError, match="say which"):
            EndpointRunner(server.url)
        with pytest.raises(EvaluationError, match="local model"):
            EndpointRunner(server.url, "c").answer([Request(turns=ask("a").turns, options=("x", "y"))])
        with pytest.raises(EvaluationError, match="stop string is empty"):
            EndpointRunner(server.url, "c", stop=("",))
        with pytest.raises(EvaluationError, match="at least 1"):
            EndpointRunner(server.url, "c", concurrency=0)
    with pytest.raises(EndpointError, match="cannot be reached"):
        EndpointRunner("http://127.0.0.1:9/v1", "m")
    for outside in ("http://192.168.1.7:8000/v1", "https://8.8.8.8/v1"):
        with pytest.raises(EndpointError, match=r"outside this machine.*--allow-remote"):
            EndpointRunner(outside, "m")


def test_within_a_running_loop():
    import asyncio

    async def notebook(url):
        return EndpointRunner(url).answer([ask("a")])

    with serving(replies(chat("fine"))) as server:
        assert asyncio.run(notebook(server.url))[0].text == "fine"
