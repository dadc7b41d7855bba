"""The two-step writer against a real server on this machine."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from osler import endpoint as endpoint_module
from osler.endpoint import ChatEndpoint
from osler.errors import EndpointError, RecordError
from osler.instruct import prompts
from osler.instruct.abnormality import abnormality_records
from osler.instruct.two_step import TwoStepWriter
from tests.endpoint_server import chat, failure, serving
from tests.instruct.test_abnormality import picture, region

BOX = "<box>(100,100),(400,300)</box>"
GOOD = f"An abnormality is detected. It lies at {BOX}. Its surface is that of a polyp."


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(endpoint_module, "_sleep", lambda seconds: None)


@pytest.fixture
def records(tmp_path: Path):
    for name in "abc":
        Image.new("RGB", (1000, 800)).save(tmp_path / f"{name}.png")
    return [picture(name, region(100, 80, 400, 240)) for name in "abc"]


def text_of(message) -> str:
    content = message["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def scripted(*rewrites):
    """Diagnoses freely, then answers each rewriting request with the next of `rewrites`; the last one stays."""
    left = list(rewrites)

    def answer(body):
        if "established" in text_of(body["messages"][1]):
            return chat("A red bump, 3 cm.")
        reply = left.pop(0) if len(left) > 1 else left[0]
        return chat(reply) if isinstance(reply, str) else reply

    return answer


def run(server, folder: Path, records, **options):
    skipped: Counter[str] = Counter()
    with TwoStepWriter(
        ChatEndpoint(server.url, "vision-1", retries=0),
        folder,
        journal=folder / "answers.jsonl",
        rejects=folder / "failures.jsonl",
        **options,
    ) as writer:
        made = list(abnormality_records(records, writer=writer, on_skip=lambda r, why: skipped.update([why])))
    return made, skipped, writer


def test_two_calls_a_record_and_provenance(tmp_path: Path, records) -> None:
    with serving(scripted(GOOD)) as server:
        made, skipped, writer = run(server, tmp_path, records[:1])
    assert [r.answer for r in made] == [GOOD]
    assert skipped == {}
    first, second = (body["messages"] for body in server.asked)
    assert [part["type"] for part in first[1]["content"]] == ["image_url", "text"]
    assert f"- polyp at {BOX}" in text_of(first[1])
    assert "A red bump, 3 cm." in text_of(second[1])
    assert isinstance(second[1]["content"], str), "the reflection sees no picture"
    provenance = made[0].provenance
    assert provenance.generator == "vision-1"
    assert provenance.notes["prompt_sha256"] == prompts.prompt_sha256()
    assert str(provenance.notes["endpoint"]).startswith("vision-1#")
    assert writer.counts == {"written": 1}


def test_a_bad_text_is_asked_for_again_with_the_reasons(tmp_path: Path, records) -> None:
    with serving(scripted("A polyp of 3 cm.", GOOD)) as server:
        made, _, _ = run(server, tmp_path, records[:1])
    assert made[0].answer == GOOD
    assert len(server.asked) == 3
    last = server.asked[2]["messages"]
    assert last[2] == {"role": "assistant", "content": "A polyp of 3 cm."}
    assert f"The box {BOX} is not in it" in last[3]["content"]
    assert "numbers that were not given: 3" in last[3]["content"]


def test_failures_are_bounded_listed_and_counted(tmp_path: Path, records) -> None:
    with serving(scripted("No.")) as server:
        made, skipped, writer = run(server, tmp_path, records[:2], attempts=2)
    assert made == []
    assert len(server.asked) == 2 * (1 + 2)
    assert skipped == {"the writer gave no response that passes the checks": 2}
    rows = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert [(row["image"], row["text"]) for row in rows] == [("a.png", "No."), ("b.png", "No.")]
    assert "does not name 'polyp'" in " ".join(rows[0]["reasons"])
    assert writer.counts == {"failed": 2}


def test_a_finished_record_is_not_asked_again(tmp_path: Path, records) -> None:
    with serving(scripted(GOOD, "No.")) as server:
        first, _, _ = run(server, tmp_path, records[:2], attempts=1)
        assert len(first) == 1
        asked = len(server.asked)
        server.answer = scripted(GOOD)
        second, _, writer = run(server, tmp_path, records, attempts=1)
        assert len(server.asked) == asked + 2 * 2
    assert len(second) == 3
    assert second[0] == first[0]
    assert writer.counts == {"reused": 1, "written": 2}
    assert not (tmp_path / "failures.jsonl").exists(), "of the earlier run"


def test_another_model_or_other_boxes_are_asked_about_again(tmp_path: Path, records) -> None:
    with serving(scripted(GOOD)) as server:
        run(server, tmp_path, records[:1])
        moved = [picture("a", region(100, 80, 400, 248))]
        _, skipped, _ = run(server, tmp_path, moved, attempts=1)
        assert skipped.total() == 1, "the old text has the old box"


def test_an_endpoint_that_is_down_stops_the_run_after_a_few_records(tmp_path: Path, records) -> None:
    many = records + [picture(name, region(100, 80, 400, 240)) for name in "de"]
    with serving(lambda body: failure(500, "no memory")) as server:
        with pytest.raises(EndpointError, match=r"no memory.*given up after 3 records in a row"):
            run(server, tmp_path, many)
        assert len(server.asked) == 3
    rows = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert len(rows) == 3


def test_one_failure_between_answers_does_not_stop_it(tmp_path: Path, records) -> None:
    with serving(scripted(GOOD, failure(500), GOOD)) as server:
        made, skipped, _ = run(server, tmp_path, records)
    assert len(made) == 2
    assert skipped.total() == 1


def test_a_missing_picture_is_listed(tmp_path: Path) -> None:
    with serving(scripted(GOOD)) as server:
        made, _, writer = run(server, tmp_path, [picture("gone", region(100, 80, 400, 240))])
    assert made == []
    assert server.asked == []
    assert "no such file" in (tmp_path / "failures.jsonl").read_text()
    assert writer.counts == {"failed": 1}


def test_attempts_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="attempts is 0"):
        TwoStepWriter(
            ChatEndpoint("http://127.0.0.1/v1", "m"),
            tmp_path,
            journal=tmp_path / "a",
            rejects=tmp_path / "b",
            attempts=0,
        )
