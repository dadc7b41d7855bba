"""The two sides of `make bench-eval` agree on a tiny model, and an answer that differs is looked into."""

from __future__ import annotations

import argparse
import json

import pytest

from benchmarks import evaluation
from tests import tiny
from tests.evaluation.tiny_models import widen


@pytest.fixture
def args(tmp_path):
    loaded = tiny.model("clip")
    widen(loaded.model, 0)
    loaded.model.generation_config.eos_token_id = loaded.model.generation_config.pad_token_id = 2
    loaded.save(tmp_path / "model")
    records = tiny.colour_records(tmp_path / "data", 6)
    given = {"model": str(tmp_path / "model"), "records": records, "images": None, "items": 0, "batch_size": 4}
    return argparse.Namespace(**given, max_new_tokens=[6], differing=tmp_path / "differing.json")


def test_both_sides_answer_alike_and_are_timed(args):
    args.side = "plain_loop"
    plain = evaluation.measure(args)
    args.side = "osler"
    ours = evaluation.measure(args)
    assert plain["tokens"] == ours["tokens"]
    assert len({tuple(tokens) for tokens in ours["tokens"]}) > 1
    assert ours["pictures"] == 6
    assert min(plain["seconds"], plain["cpu_seconds"], ours["seconds"], ours["peak_memory_mb"]) > 0


def test_the_margin_of_a_difference(args):
    args.side = "osler"
    tokens = evaluation.measure(args)["tokens"][0]
    assert tokens
    other = [*tokens[:-1], (tokens[-1] + 1) % 100]
    args.differing.write_text(json.dumps([{"item": 0, "plain": tokens, "osler": other}]))
    (found,) = evaluation.margins(args)["margins"]
    assert found["token"] == len(tokens) - 1
    assert found["margin"] > 0
