"""Adapters to radiology packages: what is told when they are absent, and what is done with what they return.

The packages fetch weights from a hub and pin other versions of torch, so here small stand-ins of the same interface
(radgraph 0.1.18, f1chexbert 0.0.2, radeval 2.2.1) are imported in their place.
"""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from osler.errors import EvaluationError
from osler.evaluation import protocols
from osler.evaluation.findings import FINDINGS
from osler.evaluation.report_metrics import packages


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setenv(packages.ALLOW, "1")
    for cached in (packages._radgraph, packages._chexbert, packages._radeval):
        cached.cache_clear()

    def install(name, **members):
        module = ModuleType(name)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(packages, "missing_package", lambda wanted, **_: None)

    return install


@pytest.mark.parametrize(
    ("name", "package"), [("radgraph-f1", "radgraph"), ("chexbert-f1", "f1chexbert"), ("radeval-ratescore", "radeval")]
)
def test_absent_packages_are_named(name, package, monkeypatch):
    if packages.missing_package(package) is None:
        pytest.skip(f"{package} is installed")
    assert protocols.get(name).missing() == f"package {package} is not installed (pip install {package})"
    monkeypatch.setattr(packages, "missing_package", lambda wanted, **_: None)
    assert f"set {packages.ALLOW}=1" in protocols.get(name).missing()


def test_radgraph(installed):
    class F1RadGraph:
        def __init__(self, reward_level):
            assert reward_level == "partial"

        def __call__(self, refs, hyps):
            values = [0.25 if hyp != ref else 1.0 for ref, hyp in zip(refs, hyps, strict=True)]
            return sum(values) / len(values), values, [], []

    installed("radgraph", F1RadGraph=F1RadGraph)
    assert protocols.get("radgraph-f1").score("heart", "lung").value == 0.25
    assert protocols.get("radgraph-f1").score("I cannot say.", "lung").refusal


def test_chexbert_counts_like_ours(installed):
    names = [*FINDINGS[1:], FINDINGS[0]]  # CheXbert has "No Finding" last

    class F1CheXbert:
        target_names = names

        def get_label(self, text):
            return [int(name.lower() in text.lower()) for name in names]

    installed("f1chexbert", F1CheXbert=F1CheXbert)
    score = protocols.get("chexbert-f1").score("cardiomegaly, edema", "cardiomegaly, fracture")
    assert score.value == 0.5
    assert (score.counts["hit Cardiomegaly"], score.counts["false Edema"], score.counts["missed Fracture"]) == (1, 1, 1)


def test_radeval_by_sample(installed):
    class RadEval:
        def __init__(self, metrics, per_sample, show_progress):
            assert (metrics, per_sample, show_progress) == (["ratescore"], True, False)

        def __call__(self, refs, hyps):
            return {"ratescore": [0.5] * (len(refs) if hyps[0] != "torn" else 0)}

    installed("radeval", RadEval=RadEval)
    assert protocols.get("radeval-ratescore").score("heart", "lung").value == 0.5
    with pytest.raises(EvaluationError, match="0 scores for 1 pairs"):
        protocols.get("radeval-ratescore").score("torn", "lung")
