import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.endpoint import ChatEndpoint
from osler.training.rewards.judge import PROMPT, Judge, mark_in
from tests.boxed import content
from tests.endpoint_server import chat, failure, serving


@pytest.mark.parametrize(
    ("answer", "mark"),
    [
        ("7", 0.7), ("10", 1.0), ("0", 0.0), ("Mark: 8", 0.8), ("8/10", 0.8), ("8 / 10, well done", 0.8),
        ("8 8", 0.8), ("8 out of 10", 0.8), ("5-6", None), ("5 – 6", None), ("8/100", None),
        ("", None), ("eleven", None), ("11", None), ("7 or 8", None), ("7.5", None), ("-3", None),
        ("I cannot say", None),
    ],
)  # fmt: skip
def test_marks(answer, mark):
    assert mark_in(answer) == mark


@given(st.text(max_size=40))
def test_any_text_gives_a_share_or_nothing(answer):
    assert mark_in(answer) is None or 0 <= mark_in(answer) <= 1


def ask(judge, completions, reference="a cyst"):
    count = len(completions)
    return judge([None] * count, completions, question=["what is it"] * count, reference=[reference] * count)


def test_each_text_is_asked_once_and_failures_are_none():
    def answer(body):
        text = body["messages"][-1]["content"]
        if "broken" in text:
            return failure(500)
        return chat("9" if "Candidate: a cyst" in text else "no idea" if "odd" in text else "2")

    with serving(answer) as server:
        judge = Judge(ChatEndpoint(server.url, "grader", retries=0, max_tokens=8))
        assert ask(judge, ["a cyst", "a mass", "a cyst", "odd", "broken"]) == [0.9, 0.2, 0.9, None, None]
        assert judge.failures == 2
        asked = len(server.asked)
        assert asked == 4, "the same text twice is one question"
        assert ask(judge, ["a mass"]) == [0.2]
        assert len(server.asked) == asked
        assert server.asked[0]["model"] == "grader"
        assert server.asked[0]["temperature"] == 0
        assert judge.fingerprint["prompt_sha256"]
    assert PROMPT.count("{") == 3


def test_a_stage_with_a_judge(tmp_path, taught):
    """The whole way: a judge behind a server marks the samples of a stage, and the run says who judged."""
    from osler.training.recipe import parse
    from osler.training.run import train

    with serving(lambda body: chat(str(len(body["messages"][-1]["content"]) % 11))) as server:
        recipe = content(
            tmp_path,
            taught,
            rewards={"localisation": 1.0, "relevance": 0, "judge": 1.0,
                     "judge_endpoint": {"url": server.url, "model": "grader"}},
            max_steps=2,
        )  # fmt: skip
        result = train(parse(recipe), say=lambda _: None)
        assert server.asked
    history = json.loads((result.folder / "reward" / "history.json").read_text())
    assert any(entry.get("rewards/judge/raw/mean", 0) > 0 for entry in history)
    record = json.loads((result.folder / "reward" / "rewards.json").read_text())
    assert record["weights"] == {"localisation": 1.0, "judge": 1.0}
    assert "grader" in json.dumps(record["judge"])
