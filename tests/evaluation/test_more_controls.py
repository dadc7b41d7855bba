"""Noise, no image, the best place and options in other orders, through `evaluate`."""

from __future__ import annotations

import ast
import json
import re

import numpy as np
import pytest
from PIL import Image

from osler.errors import EvaluationError
from osler.evaluation import Answer, evaluate, score_answers
from osler.record_options import options_tag
from osler.records import ImageRef, Record, Turn

from .test_run import Oracle, means, run
from .tiny_models import FAMILIES

NAMES = ("CT", "MRI", "X-ray", "ultrasound")


@pytest.fixture
def choices(tmp_path):
    """Twelve items with four options on six images; the right one is always the last, as in MedVH."""
    folder = tmp_path / "choices"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    lines = []
    for number in range(12):
        gold = NAMES[number % 4]
        options = [*(name for name in NAMES if name != gold), gold]
        record = Record(
            id=f"c{number}",
            images=(ImageRef(path=f"{number % 6}.png"),),
            turns=(Turn(role="user", text=f"<image>\nWhat is {number}?"), Turn(role="assistant", text=gold)),
            tags={
                "options": options_tag(options),
                "dataset": "d",
                "sex": "FM"[number % 2],
                "age": f"{10 * number:03d}Y",
            },
        )
        lines.append(record.model_dump_json())
    (folder / "test.jsonl").write_text("\n".join(lines) + "\n")
    return folder


class Chooser:
    """Answers with one of the options shown, chosen by a function of (question, options)."""

    name = "chooser"

    def __init__(self, choose):
        self.choose, self.seen = choose, []

    def settings(self):
        return {"decoding": "fixed"}

    def fingerprint(self):
        return "0"

    def answer(self, requests):
        self.seen += requests
        texts = []
        for request in requests:
            options = ast.literal_eval(re.search(r"\[.*\]", request.turns[-1].text)[0])
            question = re.search(r"What is (\d+)", request.turns[-1].text)[1]
            texts.append(Answer(text=self.choose(int(question), options), tokens=1, finished=True))
        return texts


def asked(runner, folder, out, **options):
    return evaluate(runner, "classify-vqa", data=folder, out=out, batch_size=4, progress=False, **options)


def test_one_who_always_takes_the_last_is_right_until_the_options_are_shuffled(choices, tmp_path):
    last = asked(Chooser(lambda _, options: options[-1]), choices, tmp_path / "out", controls=("options-shuffled",))
    name = "candidate-whole-word"
    assert means(last, "real")[name] == 1.0
    for condition in ("options-shuffled", "options-shuffled-2", "options-shuffled-3"):
        assert means(last, condition)[name] == 0.0, "a rotation never leaves the right option last"
    found = last.scores["orders"][name]
    assert (found["items"], found["orders"]) == (12, 4)
    assert found["every_order"]["mean"] == found["agreement"]["mean"] == found["lowest"] == 0.0
    assert found["mean"]["mean"] == 0.25
    assert found["highest"] == 1.0
    assert "Options in other orders" in last.report.read_text()


def test_one_who_knows_is_right_in_every_order(choices, tmp_path):
    runner = Chooser(lambda number, _: NAMES[number % 4])
    knows = asked(runner, choices, tmp_path / "out", controls=("options-shuffled",), orders=2)
    found = knows.scores["orders"]["candidate-whole-word"]
    assert found["orders"] == 3
    assert found["every_order"]["mean"] == found["agreement"]["mean"] == found["mean"]["low"] == 1.0
    assert knows.scores["controls"]["options-shuffled"] == {"orders": 2, "items": 12, "seed": 0}
    shown = {json.dumps(request.turns[-1].text) for request in runner.seen}
    assert len(shown) == 36, "every order is another prompt"
    # asked again with more orders, the answers that are there are kept
    before = len(runner.seen)
    asked(runner, choices, tmp_path / "out", controls=("options-shuffled",), orders=3)
    assert len(runner.seen) == before + 12


def test_the_place_of_the_right_option_is_told_by_default_and_costs_no_model(choices, tmp_path):
    result = asked(Chooser(lambda _, options: options[0]), choices, tmp_path / "out")
    assert {p.condition for p in result.predictions} == {"real", "blank", "shuffled", "position"}
    place = result.scores["controls"]["position"]
    assert (place["chosen"], place["places"]["D"], place["places"]["A"], place["chance"]) == ("D", 1.0, 0.0, 0.25)
    assert means(result, "position")["candidate-whole-word"] == 1.0
    (tmp_path / "a.json").write_text(json.dumps({f"c{n}": "CT" for n in range(12)}))
    scored = score_answers(tmp_path / "a.json", "classify-vqa", data=choices, out=tmp_path / "scored")
    assert set(scored.scores["conditions"]) == {"real", "position"}


def test_groups_of_the_records_tell_sex_and_age_and_flag_the_small(choices, tmp_path):
    result = asked(Chooser(lambda _, options: options[0]), choices, tmp_path / "out", controls=())
    table = result.scores["conditions"]["real"]["protocols"]["candidate-whole-word"]["by_tag"]
    assert {name: entry["n"] for name, entry in table["sex"].items()} == {"female": 6, "male": 6}
    assert table["age band"]["80 and over"]["n"] == 4
    assert all(entry["small"] for entry in table["sex"].values())
    assert "by age band" in result.report.read_text()


def test_noise_and_text_only(record_folder, tmp_path):
    oracle = Oracle(record_folder)
    seen = []

    class Watched:
        name = "watched"
        settings, fingerprint = oracle.settings, oracle.fingerprint

        def answer(self, requests):
            seen.extend(requests)
            with_image = [r for r in requests if r.images]
            told = iter(oracle.answer(with_image))
            return [next(told) if r.images else Answer(text="no", tokens=1, finished=True) for r in requests]

    result = run(Watched(), record_folder, tmp_path / "out", controls=("noise", "text-only"))
    assert means(result, "real")["strict-exact-match"] == 1.0
    assert means(result, "noise")["strict-exact-match"] == 0.0, "the oracle needs the very pixels"
    assert 0 < means(result, "text-only")["closed-whole-word"] < 1
    assert result.scores["same_answer"]["noise"] == 0.0
    bare = [request for request in seen if not request.images]
    assert len(bare) == 12
    assert not any("<image>" in turn.text for request in bare for turn in request.turns)


def test_all_means_what_applies_and_what_does_not_is_refused(record_folder, choices, tmp_path):
    everything = run(Oracle(record_folder, looks=False), record_folder, tmp_path / "a", controls=("blank", "majority"))
    assert set(everything.scores["conditions"]) == {"real", "blank", "majority"}
    with pytest.raises(EvaluationError, match="'options-shuffled' needs items with options, and these have none"):
        run(Oracle(record_folder), record_folder, tmp_path / "b", controls=("options-shuffled",))
    with pytest.raises(EvaluationError, match=r"no control 'blurred' \(there are: blank, noise, .*, and all\)"):
        run(Oracle(record_folder), record_folder, tmp_path / "b", controls=("blurred",))
    with pytest.raises(EvaluationError, match="orders is 0"):
        asked(Chooser(lambda _, options: options[0]), choices, tmp_path / "c", orders=0)
    plan_of_all = asked(Text(), choices, tmp_path / "d", controls=("all",))
    assert set(plan_of_all.scores["conditions"]) == {
        "real", "blank", "noise", "shuffled", "text-only", "position",
        "options-shuffled", "options-shuffled-2", "options-shuffled-3",
    }  # fmt: skip


class Text:
    name = "text"

    def settings(self):
        return {}

    def fingerprint(self):
        return "t"

    def answer(self, requests):
        return [Answer(text="CT", tokens=1, finished=True) for _ in requests]


def test_half_a_character_in_an_answer_costs_neither_run_nor_report(record_folder, tmp_path):
    class Broken(Text):
        def answer(self, requests):
            return [Answer(text="left \ud800 lobe\x00", tokens=1, finished=True) for _ in requests]

    result = run(Broken(), record_folder, tmp_path / "out", controls=())
    assert "left" in result.report.read_text(encoding="utf-8")
    assert "\x00" not in result.report.read_text(encoding="utf-8")
    assert (tmp_path / "out" / "report.md").read_text(encoding="utf-8").startswith("# records")


def test_single_orders_are_compared_on_the_items_that_were_asked_in_all():
    from osler.evaluation import protocols
    from osler.evaluation.items import Item
    from osler.evaluation.order_scores import order_summary
    from osler.evaluation.scores import score_items

    def item(name, options):
        return Item(id=name, question="?", reference="CT", question_type="m", answer_type=None, images=(name,),
                    cluster=name, options=options)  # fmt: skip

    protocol = protocols.get("candidate-whole-word")
    two, four = ("CT", "MRI"), NAMES
    items = {"real": [item("a", two), item("b", four)], "options-shuffled": [item("a", two), item("b", four)],
             "options-shuffled-2": [item("b", four)]}  # fmt: skip
    answers = {"real": {"a": "MRI", "b": "CT"}, "options-shuffled": {"a": "MRI", "b": "CT"},
               "options-shuffled-2": {"b": "ultrasound"}}  # fmt: skip
    scored = {name: score_items(protocol, asked, answers[name]) for name, asked in items.items()}
    found = order_summary(scored, answers=answers, seed=0)
    assert (found["lowest"], found["highest"]) == (0.0, 1.0), "of b alone"
    assert found["mean"]["mean"] == pytest.approx((0 + 2 / 3) / 2)
    assert found["agreement"]["mean"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["every_order"]["mean"] == 0.0
    assert order_summary({"real": scored["real"]}, answers=answers, seed=0) is None


@pytest.mark.parametrize("family", FAMILIES)
def test_models_of_every_family_answer_noise_and_no_image(family, record_folder, tmp_path):
    model = FAMILIES[family]()
    result = evaluate(
        model, "records", data=record_folder, out=tmp_path / "out", controls=("noise", "text-only"), limit=4,
        batch_size=3, max_new_tokens=3, progress=False,
    )  # fmt: skip
    assert {condition: entry["items"] for condition, entry in result.scores["conditions"].items()} == {
        "real": 4, "noise": 4, "text-only": 4,
    }  # fmt: skip
    assert all(p.tokens is not None for p in result.predictions)
