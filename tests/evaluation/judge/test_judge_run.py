"""`osler judge` over real HTTP with a judge that goes by a rule and likes the first place."""

from __future__ import annotations

import json
import re

import pytest

from osler import endpoint_async
from osler.endpoint_async import AsyncChatEndpoint
from osler.errors import EndpointError, EvaluationError
from osler.evaluation import evaluate
from osler.evaluation.judge.calls import JudgeCalls
from osler.evaluation.judge.run import judge_run
from tests.endpoint_server import chat, failure, serving

from ..test_run import Oracle


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    async def sleep(seconds):
        pass

    monkeypatch.setattr(endpoint_async, "_sleep", sleep)


@pytest.fixture
def run(record_folder, tmp_path):
    out = tmp_path / "run"
    evaluate(Oracle(record_folder), "records", data=record_folder, out=out, controls=("blank",), progress=False)
    return out


def rule(body):
    """8 for the right answer, 2 for another, and one mark more for the first place."""
    text = body["messages"][-1]["content"]
    known = re.search(r"\[Known to be right\]\n(.*)\n", text)[1]
    first = re.search(r"\[Answer 1\]\n(.*)\n", text)[1]
    second = re.search(r"\[Answer 2\]\n(.*)\n", text)[1]
    return chat(f"{(8 if first == known else 2) + 1} {8 if second == known else 2}")


def calls(server, run):
    return JudgeCalls(AsyncChatEndpoint(server.url, "m"), run / "judge.jsonl", concurrency=4)


def test_scores_reliability_and_memory(run):
    with serving(rule) as server:
        first = calls(server, run)
        found = judge_run(run, first, conditions=("real", "blank"))["llm-judge"]
        real, blank = found["conditions"]["real"], found["conditions"]["blank"]
        # marks of the candidate: 8 and 9 where right, 2 and 3 where wrong, mapped from 1..10 to 0..1
        assert real["mean"] == pytest.approx((7 / 9 + 8 / 9) / 2)
        assert blank["mean"] == pytest.approx((1 / 9 + 2 / 9) / 2)
        assert (real["denominator"], real["failures"], real["unanswered"]) == (12, 0, 0)
        assert real["reliability"]["position_bias"] == pytest.approx(1.0)
        assert real["reliability"]["order_agreement"] == 0.0  # right and right, but the first place wins
        assert blank["reliability"]["order_agreement"] == 1.0
        stored = json.loads((run / "scores.json").read_text())["judges"]["llm-judge"]
        assert stored == found
        asked = len(server.asked)
        assert asked == len({json.dumps(body) for body in server.asked})
        again = calls(server, run)
        assert judge_run(run, again, conditions=("real", "blank"))["llm-judge"] == found
        assert (len(server.asked), again.asked) == (asked, 0)
        third = calls(server, run)
        judge_run(run, third, repeats=2)
        assert (third.asked, third.reused) == (6, 24), "the first repetition is known; of the second each text once"
        assert all(body["temperature"] == 0.0 for body in server.asked)


def test_a_killed_judging_goes_on_and_failures_are_asked_again(run):
    seen = []

    def stumbling(body):
        seen.append(body)
        return failure(400, "overloaded") if len(seen) % 3 == 0 else rule(body)

    with serving(stumbling) as server:
        broken = calls(server, run)
        found = judge_run(run, broken)["llm-judge"]["conditions"]["real"]
        assert found["failures"] > 0
        assert found["denominator"] == 12
        assert found["mean"] < 7.5 / 9
        kept = (run / "judge.jsonl").read_bytes()
        (run / "judge.jsonl").write_bytes(kept + b'{"key": "torn')
        server.answer = rule
        after = calls(server, run)
        found = judge_run(run, after)["llm-judge"]["conditions"]["real"]
        assert found["failures"] == 0
        assert 0 < after.asked < after.reused + after.asked
        assert (run / "judge.jsonl").read_bytes().startswith(kept)


def test_the_released_form_with_and_without_context(run, record_folder):
    lines = [json.loads(line) for line in (record_folder / "test.jsonl").read_text().splitlines()]
    with serving(lambda body: chat("8 4\nbecause")) as server:
        found = judge_run(run, calls(server, run), forms=("llava-med-judge",))["llava-med-judge"]
        assert found["conditions"]["real"]["relative_score"]["mean"] == 0.5
        assert found["warnings"] == ["12 items were judged without context."]
        for line in lines:
            line["tags"]["judge_context"] = f"Figure Caption: of {line['id']}"
        (record_folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        found = judge_run(run, calls(server, run), forms=("llava-med-judge",), data=record_folder)["llava-med-judge"]
        page = (run / "report.html").read_text()
        assert "how far to trust them" in page
        assert "data:image" in page
        assert found["warnings"] == []
        told = [body["messages"][1]["content"] for body in server.asked[-12:]]
        assert {text.split("\n")[1] for text in told} == {f"Figure Caption: of {line['id']}" for line in lines}


def test_what_will_not_do(run, tmp_path):
    with serving(lambda body: failure(400, "no such model")) as server:
        with pytest.raises(EvaluationError, match="no judge form 'llm'"):
            judge_run(run, calls(server, run), forms=("llm",))
        with pytest.raises(EvaluationError, match="no predictions of condition 'shuffled'"):
            judge_run(run, calls(server, run), conditions=("shuffled",))
        with pytest.raises(EvaluationError, match="give a folder of"):
            judge_run(tmp_path, calls(server, run))
        with pytest.raises(EndpointError, match="no such model"):
            judge_run(run, calls(server, run))
        (run / "judge.jsonl").write_text("{}\n")
        with pytest.raises(EvaluationError, match=r"judge\.jsonl:1: is no answer of a judge"):
            calls(server, run)
