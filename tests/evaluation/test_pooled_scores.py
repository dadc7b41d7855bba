"""Scores of a corpus that are no mean of items: pooled values, intervals over images, protocols that cannot run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler.evaluation import protocols
from osler.evaluation.items import Item
from osler.evaluation.protocols.base import Protocol, Score
from osler.evaluation.scores import score_items, summarise

RATIO = Protocol(
    name="ratio",
    version="1",
    description="Length of answers over length of references.",
    applies_to="any",
    function=lambda answer, reference: Score(
        value=float(answer == reference), counts={"above": float(len(answer)), "below": float(len(reference))}
    ),
    pooled=lambda sums: {"ratio": sums["above"] / sums["below"], "never": sums["above"] * np.nan},
)


def item(number, reference, image=None):
    return Item(
        id=str(number), question="q", reference=reference, question_type="t", answer_type=None,
        images=(f"{number}.png",), cluster=image or f"{number}.png",
    )  # fmt: skip


def test_a_ratio_of_sums_and_its_interval():
    items = [item(n, "x" * (n + 1)) for n in range(30)]
    answers = {str(n): "y" * (2 * n + 1) for n in range(30)}
    summary = summarise(RATIO, items, score_items(RATIO, items, answers), seed=3)
    below = sum(n + 1 for n in range(30))
    ratio = summary["pooled"]["ratio"]
    assert ratio["mean"] == pytest.approx(sum(2 * n + 1 for n in range(30)) / below)
    assert summary["pooled"]["never"] is None
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, 30, size=(4000, 30))
    expected = np.quantile((2 * drawn + 1).sum(axis=1) / (drawn + 1).sum(axis=1), [0.025, 0.975])
    assert [ratio["low"], ratio["high"]] == pytest.approx(expected, abs=0.01)


def test_images_are_drawn_whole():
    single = [item(n, "x", image="one.png") for n in range(10)]
    answers = {str(n): "y" * n or "y" for n in range(10)}
    ratio = summarise(RATIO, single, score_items(RATIO, single, answers), seed=0)["pooled"]["ratio"]
    assert ratio["low"] == ratio["mean"] == ratio["high"]  # one image: every resample is the same


def test_prepare_sees_the_whole_corpus_once():
    seen = []
    protocol = Protocol(
        name="rank",
        version="1",
        description="",
        applies_to="any",
        function=lambda answer, reference, known: Score(value=known.index(answer) / len(known)),
        prepare=lambda pairs: seen.append(list(pairs)) or sorted(answer for answer, _ in pairs),
    )
    items = [item(n, "x") for n in range(4)]
    scored = score_items(protocol, items, {"0": "d", "1": "a", "2": "c"})
    assert [entry.score.value for entry in scored] == [0.75, 0.25, 0.5, 0.0]  # the missing answer is blank and fails
    assert seen == [[("d", "x"), ("a", "x"), ("c", "x"), ("", "x")]]
    assert "pooled" not in summarise(protocol, items, scored, seed=0)


def test_protocols_with_pooled_scores_give_json(tmp_path):
    items = [item(0, "The heart is enlarged."), item(1, "No effusion.")]
    for name in ("bleu-4", "chest-findings-f1", "chair", "clinkd-mia-mbmr", "clinkd-roc-substring"):
        protocol = protocols.get(name)
        for answers in ({}, {"0": "The heart is enlarged.", "1": "\udcff"}):
            summary = summarise(protocol, items, score_items(protocol, items, answers), seed=0)
            text = json.dumps(summary, allow_nan=False)
            assert json.loads(text)["pooled"]
